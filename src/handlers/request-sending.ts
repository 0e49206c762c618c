import type { BufferedBody } from "../buffering/body-buffer.ts";
import { messageOf } from "../errors.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { UpstreamConnection } from "../upstream/connection.ts";
import type { ResponseSink } from "../upstream/connection-events.ts";

/** Read from a temporary file at a time, bytes. */
const READ_SIZE = 256 * 1024;
const CRLF = Buffer.from("\r\n");

/** Sends a request whose body is there as a whole; in one write where it is in memory. */
export function sendBuffered(
  connection: UpstreamConnection,
  method: string,
  head: string,
  body: BufferedBody,
  sink: ResponseSink,
): void {
  const inMemory = body.inMemory();
  if (inMemory !== null) {
    connection.send(method, head, inMemory, sink);
    connection.finish();
    return;
  }
  connection.send(method, head, null, sink);
  sendParts(connection, body).catch((error: unknown) => connection.breakOff(messageOf(error)));
}

async function sendParts(connection: UpstreamConnection, body: BufferedBody): Promise<void> {
  for await (const part of body.read(READ_SIZE)) {
    if (!connection.writable) return;
    if (connection.write(part)) continue;
    await new Promise<void>((resolve) => (connection.onWritable = resolve));
  }
  if (connection.writable) connection.finish();
}

/** Passes a body on as it comes in, for requests that are not buffered. It cannot be sent twice. */
export class StreamedBody {
  /** Whether it has been asked for, and so cannot be had again. */
  begun = false;
  readonly #exchange: Exchange;
  readonly #connection: UpstreamConnection;
  readonly #maxBody: number;
  readonly #broken: (status: number, reason: string) => void;
  #bytes = 0;
  #over = false;

  /** `broken`: with the status for the client, or 499 when it has gone. */
  constructor(
    exchange: Exchange,
    connection: UpstreamConnection,
    maxBody: number,
    broken: (status: number, reason: string) => void,
  ) {
    this.#exchange = exchange;
    this.#connection = connection;
    this.#maxBody = maxBody;
    this.#broken = broken;
    connection.onWritable = () => exchange.resumeBody();
    // Not before there is somebody to take it: what has been read from the client cannot be held for an app that
    // restarts.
    connection.onceConnected(() => {
      this.begun = true;
      exchange.readBody({
        data: (data) => this.#send(data),
        end: () => this.#end(),
        error: (status, reason) => this.#break(status, reason),
      });
    });
  }

  #send(data: Buffer): void {
    // What an app that has closed will not read is taken from the client and dropped: its answer is on the way.
    if (this.#over || !this.#connection.writable) return;
    this.#bytes += data.length;
    if (this.#bytes > this.#maxBody) {
      this.#break(413, "the request body is longer than maxBody; raise it to let it through");
      return;
    }
    const chunked = this.#exchange.bodyLength === -1;
    const flowing = this.#connection.write(
      chunked
        ? Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), data, CRLF])
        : Buffer.from(data),
    );
    if (!flowing) this.#exchange.pauseBody();
  }

  #end(): void {
    if (this.#over || !this.#connection.writable) return;
    if (this.#exchange.bodyLength === -1) this.#connection.write("0\r\n\r\n");
    this.#connection.finish();
  }

  #break(status: number, reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#broken(status, reason);
  }
}
