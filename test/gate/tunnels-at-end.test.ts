import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EchoTunnel, startEchoTunnelApp } from "../parts/echo-tunnel.ts";
import { Paddock } from "../parts/paddock.ts";

function start(): Promise<Paddock> {
  return Paddock.start({
    // So long that nothing below could end by it.
    yaml: (folder) => `issuers: [{ local: true }]
shutdownTimeout: 10m
sites:
  - names: [app.test]
    upstream: unix:${folder}/app.sock`,
  });
}

for (const protocol of ["HTTP/1.1", "HTTP/2"] as const) {
  describe(`a WebSocket over ${protocol}`, () => {
    test("stays through a reload, in place and with new workers, and is closed when the daemon ends", async () => {
      const paddock = await start();
      const app = await startEchoTunnelApp(`${paddock.folder}/app.sock`);
      try {
        const tunnel = EchoTunnel.open(protocol, paddock.httpsPort, "app.test");
        await tunnel.opened;
        await tunnel.echo("before");
        assert.equal((await paddock.command("reload")).code, 0);
        await tunnel.echo("in place");
        await paddock.edit((yaml) => yaml.replace("workers: 2", "workers: 1"));
        assert.match((await paddock.command("reload")).stdout, /replaced/);
        await tunnel.echo("replaced");
        process.kill(paddock.pid, "SIGTERM");
        await tunnel.closed;
        await paddock.until("the end", () => paddock.output.includes('"ended"'), 20);
      } finally {
        await app.stop();
        await paddock.stop();
      }
    });

    test("is closed, too, where the app agrees while the daemon ends", async () => {
      const paddock = await start();
      const app = await startEchoTunnelApp(`${paddock.folder}/app.sock`, true);
      try {
        const tunnel = EchoTunnel.open(protocol, paddock.httpsPort, "app.test");
        await paddock.until("the app to be asked", () => app.asked() === 1);
        process.kill(paddock.pid, "SIGTERM");
        await paddock.until("the shutdown to begin", () => paddock.output.includes("shutting down"));
        app.agree();
        await tunnel.opened;
        await tunnel.closed;
        await paddock.until("the end", () => paddock.output.includes('"ended"'), 20);
      } finally {
        await app.stop();
        await paddock.stop();
      }
    });
  });
}
