import { ChunkedDecoder } from "../http1/chunked.ts";
import { HeadScanner } from "../http1/head-scanner.ts";
import { MessageError } from "../http1/problem.ts";
import { parseResponseHead, type ResponseHead } from "../http1/response-head.ts";

/** Receives one response. Data is valid during the call only; return false to stop until resume(). */
export interface ResponseEvents {
  /** A 1xx other than 100 and 101. */
  inform(head: ResponseHead): void;
  head(head: ResponseHead): void;
  data(data: Buffer): boolean;
}

/** Takes the bytes of one response after the other apart (RFC 9112 section 6.3). */
export class ResponseReader {
  /** The final response's head, once it is there. */
  response: ResponseHead | null = null;
  /** The response is complete; one that ends with the connection never is by itself. */
  done = false;
  /** False once a part was not wanted; set to true to go on. */
  flowing = true;
  readonly #scanner = new HeadScanner(502);
  #pending: Buffer | null = null;
  #method = "";
  #upgrade = false;
  #remaining = 0;
  #decoder: ChunkedDecoder | null = null;

  /** Expects the response to a request with this method; `upgrade`: 101 may be it. */
  begin(method: string, upgrade: boolean): void {
    this.#method = method;
    this.#upgrade = upgrade;
    this.response = null;
    this.done = false;
    this.flowing = true;
    this.#decoder = null;
  }

  /**
   * Returns how many of the bytes belong to this response; fewer than all only when it is done. Throws MessageError
   * with 502 for what is not HTTP/1.1.
   */
  feed(data: Buffer, events: ResponseEvents): number {
    let bytes = data;
    let before = 0;
    while (this.response === null) {
      if (this.#pending !== null) {
        before -= this.#pending.length;
        bytes = Buffer.concat([this.#pending, bytes]);
      }
      const end = this.#scanner.scan(bytes);
      if (end === -1) {
        this.#pending = Buffer.from(bytes);
        return data.length;
      }
      this.#pending = null;
      this.#takeHead(parseResponseHead(bytes.toString("latin1", 0, end - 4), this.#method), events);
      bytes = bytes.subarray(end);
      before += end;
      if (bytes.length === 0 && this.response === null) return data.length;
    }
    return before + this.#takeBody(bytes, events);
  }

  #takeHead(head: ResponseHead, events: ResponseEvents): void {
    if (head.status < 200 && head.status !== 101) {
      if (head.status !== 100) events.inform(head);
      return;
    }
    this.response = head;
    if (head.status === 101) {
      if (!this.#upgrade) throw new MessageError(502, "an upgrade that nobody asked for");
      this.done = true;
      return;
    }
    this.#remaining = head.bodyLength;
    if (head.bodyLength === -1) this.#decoder = new ChunkedDecoder(502, (data) => this.#give(data, events));
    events.head(head);
  }

  #takeBody(bytes: Buffer, events: ResponseEvents): number {
    const head = this.response as ResponseHead;
    if (head.status === 101) return 0;
    if (this.#decoder !== null) {
      const used = this.#decoder.feed(bytes, 0);
      this.done = this.#decoder.done;
      return used;
    }
    if (head.bodyLength === -2) {
      if (bytes.length > 0) this.#give(bytes, events);
      return bytes.length;
    }
    const used = Math.min(this.#remaining, bytes.length);
    this.#remaining -= used;
    if (used > 0) this.#give(used === bytes.length ? bytes : bytes.subarray(0, used), events);
    if (this.#remaining === 0) this.done = true;
    return used;
  }

  #give(data: Buffer, events: ResponseEvents): void {
    if (!events.data(data)) this.flowing = false;
  }
}
