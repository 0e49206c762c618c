import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { UpstreamAddress } from "../../src/config/configuration.ts";
import { Deadlines } from "../../src/exchange/deadlines.ts";
import { UpstreamConnection } from "../../src/upstream/connection.ts";
import type { UpstreamFailure } from "../../src/upstream/failure.ts";
import { EARLY_BODY, startEarlyApp, type EarlyApp } from "../parts/early-app.ts";
import { freePorts } from "../parts/pebble.ts";

interface Outcome {
  readonly status: number;
  readonly body: string;
  readonly failure: UpstreamFailure | null;
  readonly idle: number;
}

for (const kind of ["unix", "tcp"] as const) {
  describe(`an app over ${kind} that has answered and closed when the next write comes`, () => {
    const deadlines = new Deadlines(1_000_000);
    let folder: string;
    let address: UpstreamAddress;
    let app: EarlyApp;
    let count = 0;

    before(async () => {
      folder = mkdtempSync(join(tmpdir(), "paddock-early-"));
      const [port] = (await freePorts(1)) as [number];
      address = kind === "unix" ? { kind, path: `${folder}/app.sock` } : { kind, host: "127.0.0.1", port };
      writeFileSync(`${folder}/log`, "");
      app = startEarlyApp(kind === "unix" ? `unix:${folder}/app.sock` : String(port), `${folder}/log`);
    });

    after(async () => {
      await app.stop();
      deadlines.close();
      rmSync(folder, { recursive: true });
    });

    /** Sends the head, waits with this process blocked until the app has closed, and writes the body. */
    function ask(target: string, parts: number): Promise<Outcome> {
      return new Promise((resolve) => {
        let status = 0;
        let body = "";
        let idle = 0;
        const owner = {
          connected: () => undefined,
          idle: () => idle++,
          gone: () => undefined,
          keepAlive: () => undefined,
        };
        const timeouts = { connectTimeout: 10_000, responseTimeout: 10_000 };
        const connection = new UpstreamConnection(address, timeouts, deadlines, owner);
        const done = (failure: UpstreamFailure | null): void => resolve({ status, body, failure, idle });
        connection.send(
          "POST",
          `POST ${target} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n`,
          null,
          {
            inform: () => undefined,
            head: (head) => (status = head.status),
            data: (data) => {
              body += data.toString("latin1");
              return true;
            },
            end: () => done(null),
            error: done,
          },
        );
        connection.onceConnected(() => {
          // Behind the head, and before anything is read.
          setImmediate(() => {
            app.waitForClose(++count);
            for (let part = 0; part < parts; part++) connection.write(Buffer.alloc(1_000_000 / parts));
            connection.finish();
          });
        });
      });
    }

    for (const parts of [1, 10]) {
      test(`its answer is read, with the body in ${parts} writes`, async () => {
        const { status, body, failure, idle } = await ask("/", parts);
        assert.equal(failure, null);
        assert.equal(status, 413);
        assert.equal(body, EARLY_BODY);
        assert.equal(idle, 0, "such a connection carries nothing more");
      });
    }

    test("an answer that ends with the connection", async () => {
      const { status, body, failure } = await ask("/endless", 1);
      assert.equal(status, 413);
      assert.equal(body, EARLY_BODY);
      // Over TCP a reset may have cost the end of it; over a Unix socket nothing can be lost.
      if (kind === "unix") assert.equal(failure, null);
    });
  });
}
