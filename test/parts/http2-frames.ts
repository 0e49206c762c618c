/**
 * An HTTP/2 client that sends what it is told, frame by frame (RFC 9113 section 4.1), also what no client may send.
 * Its HPACK knows literals without indexing and without Huffman alone (RFC 7541 section 6.2.2).
 */
import { once } from "node:events";
import { connect as connectTls, type TLSSocket } from "node:tls";

export const FRAME = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

/** END_STREAM of DATA and HEADERS, ACK of SETTINGS and PING. */
export const END_STREAM = 0x1;
export const END_HEADERS = 0x4;

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

export interface ReceivedFrame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export interface OpenOptions {
  readonly port: number;
  readonly host: string;
  readonly ca: Buffer;
  /** Identifier and value, of the SETTINGS that the client begins with. */
  readonly settings?: readonly (readonly [number, number])[];
  /** Whether the server's SETTINGS are acknowledged; true unless given. */
  readonly acknowledge?: boolean;
}

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function settings(values: readonly (readonly [number, number])[]): Buffer {
  const payload = Buffer.alloc(6 * values.length);
  for (const [index, [identifier, value]] of values.entries()) {
    payload.writeUInt16BE(identifier, 6 * index);
    payload.writeUInt32BE(value, 6 * index + 2);
  }
  return frame(FRAME.SETTINGS, 0, 0, payload);
}

/** A field block; name and value alternate. */
export function fieldBlock(fields: readonly string[]): Buffer {
  const parts: Buffer[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    parts.push(Buffer.of(0), literal(fields[index] as string), literal(fields[index + 1] as string));
  }
  return Buffer.concat(parts);
}

/** RFC 7541 section 5.2, with the length as an integer of a 7-bit prefix (section 5.1). */
function literal(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  if (bytes.length < 127) return Buffer.concat([Buffer.of(bytes.length), bytes]);
  const length = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128);
  length.push(rest);
  return Buffer.concat([Buffer.from(length), bytes]);
}

export class RawHttp2 {
  readonly frames: ReceivedFrame[] = [];
  /** The connection has ended, whoever closed it. */
  closed = false;
  readonly #socket: TLSSocket;
  readonly #acknowledge: boolean;
  readonly #authority: string;
  #pending: Buffer = Buffer.alloc(0);
  #wake: (() => void) | null = null;

  static async open(options: OpenOptions): Promise<RawHttp2> {
    const { port, host, ca } = options;
    const socket = connectTls({ host: "127.0.0.1", port, servername: host, ca, ALPNProtocols: ["h2"] });
    const raw = new RawHttp2(socket, options);
    await once(socket, "secureConnect");
    socket.write(PREFACE);
    raw.send(settings(options.settings ?? []));
    await raw.until(() => raw.ofType(FRAME.SETTINGS).length > 0);
    return raw;
  }

  private constructor(socket: TLSSocket, options: OpenOptions) {
    this.#socket = socket;
    this.#acknowledge = options.acknowledge ?? true;
    this.#authority = `${options.host}:${options.port}`;
    socket.on("data", (data: Buffer) => this.#receive(data));
    // A server that has had enough resets the connection; what it sent before is in `frames`.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      this.closed = true;
      this.#wake?.();
    });
  }

  send(...frames: readonly Buffer[]): void {
    if (!this.#socket.destroyed) this.#socket.write(Buffer.concat(frames));
  }

  /** HEADERS of a request, whole. `fields` come after those that every request has. */
  request(
    stream: number,
    method: string,
    path: string,
    ended = true,
    fields: readonly string[] = [],
  ): Buffer {
    const block = this.block(method, path, fields);
    return frame(FRAME.HEADERS, END_HEADERS | (ended ? END_STREAM : 0), stream, block);
  }

  block(method: string, path: string, fields: readonly string[] = []): Buffer {
    const pseudo = [":method", method, ":path", path, ":scheme", "https", ":authority", this.#authority];
    return fieldBlock([...pseudo, ...fields]);
  }

  ofType(type: number): ReceivedFrame[] {
    return this.frames.filter((one) => one.type === type);
  }

  /** Error codes of the RST_STREAM frames for a stream. */
  resets(stream: number): number[] {
    return this.ofType(FRAME.RST_STREAM).flatMap((one) =>
      one.stream === stream ? [one.payload.readUInt32BE(0)] : [],
    );
  }

  /** Error code of the last GOAWAY, or null. */
  get goaway(): number | null {
    return this.ofType(FRAME.GOAWAY).at(-1)?.payload.readUInt32BE(4) ?? null;
  }

  /** Resolves to false where it did not become true before the connection ended or the time was over. */
  async until(condition: () => boolean, milliseconds = 20_000): Promise<boolean> {
    const end = Date.now() + milliseconds;
    const tick = setInterval(() => this.#wake?.(), 100);
    while (!condition() && !this.closed && Date.now() < end) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    clearInterval(tick);
    return condition();
  }

  /** Stops to read from the socket. */
  stall(): void {
    this.#socket.pause();
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(data: Buffer): void {
    let bytes = this.#pending.length === 0 ? data : Buffer.concat([this.#pending, data]);
    while (bytes.length >= 9) {
      const length = bytes.readUIntBE(0, 3);
      if (bytes.length < 9 + length) break;
      const [type, flags] = [bytes.readUInt8(3), bytes.readUInt8(4)];
      const payload = Buffer.from(bytes.subarray(9, 9 + length));
      this.frames.push({ type, flags, stream: bytes.readUInt32BE(5) & 0x7fffffff, payload });
      if (type === FRAME.SETTINGS && flags === 0 && this.#acknowledge) this.send(frame(FRAME.SETTINGS, 1, 0));
      bytes = bytes.subarray(9 + length);
    }
    this.#pending = Buffer.from(bytes);
    this.#wake?.();
  }
}
