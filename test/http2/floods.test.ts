import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { constants } from "node:http2";
import { createServer, type Server } from "node:net";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Paddock } from "../parts/paddock.ts";
import {
  END_HEADERS,
  END_STREAM,
  FRAME,
  RawHttp2,
  fieldBlock,
  frame,
  settings,
  uint32,
  type OpenOptions,
} from "../parts/http2-frames.ts";

const {
  NGHTTP2_ENHANCE_YOUR_CALM,
  NGHTTP2_FLOW_CONTROL_ERROR,
  NGHTTP2_FRAME_SIZE_ERROR,
  NGHTTP2_INTERNAL_ERROR,
  NGHTTP2_PROTOCOL_ERROR,
  NGHTTP2_SETTINGS_TIMEOUT,
  NGHTTP2_STREAM_CLOSED,
} = constants;
/** Attacks of frames that come all at once; what they cost must not grow with it. */
const FLOOD = 3_000;
/** Streams that a session may have open, and those that it may waste (src/http2/session-conduct.ts). */
const MOST_OPEN = 128;
const MOST_WASTED = 200;
const ADDRESS = "x-address";

describe("an HTTP/2 client that floods", () => {
  let paddock: Paddock;
  let ca: Buffer;
  let app: Server;
  const clients = new Set<RawHttp2>();
  /** Of the app, which never answers. */
  let connections = 0;
  let open = 0;

  before(async () => {
    paddock = await Paddock.start({
      workers: 1,
      yaml: (folder) => `issuers: [{ local: true }]
timeouts: { requestHead: 2s }
sites: [{ names: [app.test], upstream: "unix:${folder}/raw.sock" }]`,
    });
    ca = await readFile(paddock.rootPath);
    app = createServer((socket) => {
      connections++;
      open++;
      socket.on("error", () => socket.destroy());
      socket.on("close", () => open--);
      socket.resume();
    }).listen(`${paddock.folder}/raw.sock`);
    await once(app, "listening");
  });

  beforeEach(() => {
    connections = 0;
  });

  afterEach(async () => {
    for (const client of clients) client.close();
    clients.clear();
    await paddock.until("the app to be left", () => open === 0);
  });

  after(async () => {
    app.close();
    await paddock.stop();
  });

  async function connect(options: Partial<OpenOptions> = {}): Promise<RawHttp2> {
    const client = await RawHttp2.open({ port: paddock.httpsPort, host: "app.test", ca, ...options });
    clients.add(client);
    return client;
  }

  /**
   * Sends `make(0)`, `make(1)` and so on until the server has had enough; returns how many it took. Where `answered`
   * tells how many the server has dealt with, they go at its pace: a client that is still sending when the server
   * closes gets a TCP reset, which may outrun the GOAWAY.
   */
  async function flood(
    client: RawHttp2,
    make: (index: number) => readonly Buffer[],
    count = FLOOD,
    each = 20,
    answered: (() => number) | null = null,
  ): Promise<number> {
    let sent = 0;
    for (; sent < count && !client.closed && client.goaway === null; sent += each) {
      client.send(...Array.from({ length: each }, (_, index) => make(sent + index)).flat());
      if (answered === null) await sleep(1);
      else await client.until(() => answered() >= sent + each || client.goaway !== null);
    }
    return sent;
  }

  /** The server says why, by GOAWAY and in the log, closes, and the app has nothing more to do for this client. */
  async function ended(client: RawHttp2, code: number | null, cause: string): Promise<void> {
    await client.until(() => client.closed);
    assert.equal(client.closed, true, "the connection is closed");
    if (code !== null) assert.equal(client.goaway, code);
    await paddock.until("the log line", () => paddock.output.includes(`"cause":"${cause}`));
    await paddock.until("the app to be left", () => open === 0);
  }

  const id = (index: number): number => 2 * index + 1;

  test("by rapid reset is ended, and few of its requests reach the app", async () => {
    const client = await connect();
    const sent = await flood(
      client,
      (index) => [
        client.request(id(index), "GET", "/"),
        frame(FRAME.RST_STREAM, 0, id(index), uint32(constants.NGHTTP2_CANCEL)),
        ...(index % 10 === 9 ? [frame(FRAME.PING, 0, 0, Buffer.alloc(8))] : []),
      ],
      FLOOD,
      10,
      () => 10 * client.ofType(FRAME.PING).length,
    );
    await ended(client, NGHTTP2_ENHANCE_YOUR_CALM, "too many streams that came to nothing");
    assert.ok(sent < FLOOD, `${sent} were taken`);
    // Some more are allowed in each second.
    assert.ok(connections <= 2 * MOST_WASTED, `${connections} reached the app`);
  });

  test("by rapid reset in few packets is ended too", async () => {
    const client = await connect();
    await flood(
      client,
      (index) => [
        client.request(id(index), "GET", "/"),
        frame(FRAME.RST_STREAM, 0, id(index), uint32(constants.NGHTTP2_CANCEL)),
      ],
      FLOOD,
      500,
    );
    await ended(client, null, "more streams at once than it was told");
    // Some more are allowed in each second.
    assert.ok(connections <= 2 * MOST_WASTED, `${connections} reached the app`);
  });

  test("keeps its connection when it cancels as much as a browser does that leaves a page", async () => {
    const client = await connect();
    const streams = Array.from({ length: MOST_OPEN }, (_, index) => id(index));
    client.send(...streams.map((stream) => client.request(stream, "GET", "/")));
    await paddock.until("the requests at the app", () => open > 0);
    client.send(...streams.map((stream) => frame(FRAME.RST_STREAM, 0, stream, uint32(8))));
    await paddock.until("the app to be left", () => open === 0);
    client.send(frame(FRAME.PING, 0, 0, Buffer.alloc(8)));
    assert.equal(await client.until(() => client.ofType(FRAME.PING).length === 1), true);
    assert.equal(client.goaway, null);
  });

  /** MadeYouReset (CVE-2025-8671): frames that make the server reset the stream of the request before them. */
  const breaches: Record<string, { code: number; make: (client: RawHttp2, stream: number) => Buffer[] }> = {
    "WINDOW_UPDATE of 0": {
      code: NGHTTP2_PROTOCOL_ERROR,
      make: (client, stream) => [
        client.request(stream, "GET", "/"),
        frame(FRAME.WINDOW_UPDATE, 0, stream, uint32(0)),
      ],
    },
    "WINDOW_UPDATE beyond the largest window": {
      code: NGHTTP2_FLOW_CONTROL_ERROR,
      make: (client, stream) => [
        client.request(stream, "GET", "/"),
        frame(FRAME.WINDOW_UPDATE, 0, stream, uint32(0x7fffffff)),
      ],
    },
    "HEADERS on a half-closed stream": {
      code: NGHTTP2_STREAM_CLOSED,
      make: (client, stream) => [client.request(stream, "GET", "/"), client.request(stream, "GET", "/")],
    },
    "DATA on a half-closed stream": {
      code: NGHTTP2_STREAM_CLOSED,
      make: (client, stream) => [
        client.request(stream, "GET", "/"),
        frame(FRAME.DATA, 0, stream, Buffer.from("x")),
      ],
    },
    "PRIORITY of a wrong length": {
      code: NGHTTP2_FRAME_SIZE_ERROR,
      make: (client, stream) => [
        client.request(stream, "GET", "/"),
        frame(FRAME.PRIORITY, 0, stream, Buffer.of(1)),
      ],
    },
    "a body longer than its content-length": {
      code: NGHTTP2_INTERNAL_ERROR,
      make: (client, stream) => [
        client.request(stream, "POST", "/", false, ["content-length", "1"]),
        frame(FRAME.DATA, 0, stream, Buffer.from("xxxx")),
      ],
    },
    "an empty field name": {
      code: NGHTTP2_PROTOCOL_ERROR,
      make: (client, stream) => [client.request(stream, "GET", "/", true, ["", ""])],
    },
  };
  for (const [name, { code, make }] of Object.entries(breaches)) {
    test(`by resets that it makes the server send, with ${name}, is ended`, async () => {
      const client = await connect();
      const sent = await flood(client, (index) => make(client, id(index)), FLOOD, 1);
      assert.ok(sent < FLOOD, `${sent} were taken`);
      await client.until(() => client.closed);
      assert.equal(client.closed, true);
      if (client.goaway !== null) assert.equal(client.goaway, code);
      assert.ok(connections <= MOST_OPEN, `${connections} reached the app`);
    });
  }

  test("by requests that are refused is ended", async () => {
    const client = await connect();
    const sent = await flood(
      client,
      (index) => [client.request(id(index), "GET", "/#")],
      FLOOD,
      1,
      () => client.ofType(FRAME.HEADERS).length,
    );
    await ended(client, NGHTTP2_ENHANCE_YOUR_CALM, "too many streams that came to nothing");
    assert.ok(sent < FLOOD / 2, `${sent} were taken`);
    assert.equal(connections, 0);
  });

  for (const [name, field] of [
    ["empty", Buffer.alloc(0)],
    ["full", fieldBlock(["x-a", "v".repeat(100)])],
  ] as const) {
    test(`by ${name} CONTINUATION frames without an end is ended`, async () => {
      const client = await connect();
      client.send(frame(FRAME.HEADERS, END_STREAM, 1, client.block("GET", "/")));
      const sent = await flood(client, () => [frame(FRAME.CONTINUATION, 0, 1, field)], FLOOD, 1);
      await ended(client, null, "Too many CONTINUATION frames");
      assert.ok(sent < FLOOD, `${sent} were taken`);
      assert.equal(connections, 0);
    });
  }

  test("by a request head that drips is ended in the time of a head", async () => {
    const client = await connect();
    const head = client.request(1, "GET", "/", true, [ADDRESS, "v".repeat(1_000)]);
    client.send(head.subarray(0, 10));
    for (let at = 10; at < head.length && !client.closed; at++) {
      client.send(head.subarray(at, at + 1));
      await sleep(50);
    }
    await ended(client, NGHTTP2_ENHANCE_YOUR_CALM, "a request head did not come in time");
    assert.equal(connections, 0);
  });

  test("is not ended while it is idle, or for a head that came in time", async () => {
    const client = await connect();
    await sleep(4_500);
    const head = client.request(1, "GET", "/");
    client.send(head.subarray(0, 20));
    await sleep(500);
    client.send(head.subarray(20));
    await paddock.until("the request at the app", () => open === 1);
    await sleep(4_000);
    assert.equal(client.goaway, null);
    assert.equal(open, 1);
  });

  const many = Array.from({ length: 150 }, (_, index) => [`x-${index}`, "v"]).flat();
  test("by heads of too many fields gets resets, then is ended", async () => {
    const client = await connect();
    client.send(client.request(1, "GET", "/", true, many));
    await client.until(() => client.resets(1).length === 1);
    assert.deepEqual(client.resets(1), [NGHTTP2_ENHANCE_YOUR_CALM]);
    const sent = await flood(
      client,
      (index) => [client.request(id(index + 1), "GET", "/", true, many)],
      20_000,
      5,
      () => client.ofType(FRAME.RST_STREAM).length - 1,
    );
    await ended(client, NGHTTP2_ENHANCE_YOUR_CALM, "too many streams that came to nothing");
    assert.ok(sent < 20_000, `${sent} were taken`);
    assert.equal(connections, 0);
  });

  for (const acknowledge of [true, false]) {
    test(`by a head of more than 32 KB is refused, ${acknowledge ? "with" : "without"} our limit acknowledged`, async () => {
      const client = await connect({ acknowledge });
      const fields = Array.from({ length: 40 }, (_, index) => [`x-${index}`, "v".repeat(1_000)]).flat();
      const block = client.block("GET", "/", fields);
      client.send(
        frame(FRAME.HEADERS, END_STREAM, 1, block.subarray(0, 16_000)),
        frame(FRAME.CONTINUATION, 0, 1, block.subarray(16_000, 32_000)),
        frame(FRAME.CONTINUATION, END_HEADERS, 1, block.subarray(32_000)),
      );
      const answered = (): boolean => client.resets(1).length > 0 || client.ofType(FRAME.HEADERS).length > 0;
      assert.equal(await client.until(answered), true);
      if (acknowledge) assert.deepEqual(client.resets(1), [NGHTTP2_ENHANCE_YOUR_CALM]);
      else await paddock.until("the log line", () => paddock.output.includes('"status":431'));
      assert.equal(connections, 0);
    });
  }

  test("that never acknowledges our SETTINGS is ended", async () => {
    const client = await connect({ acknowledge: false });
    client.send(client.request(1, "GET", "/"));
    await paddock.until("the request at the app", () => open === 1);
    await ended(client, NGHTTP2_SETTINGS_TIMEOUT, "our SETTINGS were not acknowledged in time");
  });

  for (const [name, type, make] of [
    ["PING", FRAME.PING, () => frame(FRAME.PING, 0, 0, Buffer.alloc(8))],
    ["SETTINGS", FRAME.SETTINGS, () => settings([[4, 65_535]])],
  ] as const) {
    test(`by ${name} frames is ended, and what it has asked for is given up`, async () => {
      const client = await connect();
      client.send(client.request(1, "GET", "/"));
      await paddock.until("the request at the app", () => open === 1);
      const answers = (): number =>
        client.frames.filter((one) => one.type === type && one.flags === 1).length;
      const before = answers();
      const sent = await flood(
        client,
        () => [make()],
        FLOOD,
        20,
        () => answers() - before,
      );
      await ended(client, NGHTTP2_ENHANCE_YOUR_CALM, `a flood of ${name} frames`);
      assert.ok(sent < FLOOD, `${sent} were taken`);
    });
  }

  test("by PING frames whose answers it does not read loses its connection", async () => {
    const client = await connect();
    client.stall();
    await flood(client, () => [frame(FRAME.PING, 0, 0, Buffer.alloc(8))], FLOOD, 500);
    const https = async (): Promise<number> => {
      const { body } = await paddock.plain(paddock.adminPort, "/metrics");
      return Number(/^paddock_connections\{listener="https"\} (\d+)$/m.exec(body.toString())?.[1]);
    };
    await paddock.until("the connection to be closed", async () => (await https()) === 0);
  });

  test("by empty DATA frames is ended", async () => {
    const client = await connect();
    client.send(client.request(1, "POST", "/", false));
    const sent = await flood(client, () => [frame(FRAME.DATA, 0, 1)]);
    await client.until(() => client.closed);
    assert.equal(client.closed, true);
    assert.ok(sent < FLOOD, `${sent} were taken`);
  });

  test("by WINDOW_UPDATE frames is borne: nothing is answered to them, and others are served meanwhile", async () => {
    const client = await connect();
    const other = await connect();
    await client.until(() => client.ofType(FRAME.WINDOW_UPDATE).length > 0, 200);
    const answered = client.frames.length;
    const updates = Buffer.concat(
      Array.from({ length: 20_000 }, () => frame(FRAME.WINDOW_UPDATE, 0, 0, uint32(1))),
    );
    const ping = frame(FRAME.PING, 0, 0, Buffer.alloc(8));
    for (let batch = 1; batch <= 10; batch++) {
      client.send(updates);
      other.send(ping);
      assert.ok(await other.until(() => other.ofType(FRAME.PING).length === batch), "another client");
    }
    client.send(ping);
    assert.ok(await client.until(() => client.ofType(FRAME.PING).length === 1), "all of them are read");
    assert.equal(client.frames.length, answered + 1);
    assert.equal(client.goaway, null);
  });

  test("is counted", async () => {
    const { body } = await paddock.plain(paddock.adminPort, "/metrics");
    const ended = /^paddock_http2_connections_ended_total (\d+)$/m.exec(body.toString())?.[1];
    assert.ok(Number(ended) >= 10, String(ended));
  });
});
