import type { BufferOptions } from "../buffering/body-buffer.ts";
import { ResponseBuffer } from "../buffering/response-buffer.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { ResponseWriter } from "../exchange/response-filter.ts";
import { fieldValue } from "../http1/fields.ts";
import type { ResponseHead } from "../http1/response-head.ts";
import { endToEndFields } from "./forwarded-fields.ts";
import { fileRedirect, sendInternalFile, type FileRedirect, type InternalOptions } from "./internal-file.ts";
import { paced } from "./paced-response.ts";

export interface RelayOptions extends InternalOptions {
  /** Null passes each part on at the client's pace. */
  readonly bufferResponse: (BufferOptions & { readonly disk: number }) | null;
  /** The head as the app sent it, before anything else looks at it; for the cache. */
  readonly arrived?: (head: ResponseHead) => void;
}

/** Passes one response of the app to the client, or the file that the app names in its place. */
export class ResponseRelay {
  readonly #exchange: Exchange;
  readonly #options: RelayOptions;
  /** Lets the app go on after `data` returned false. */
  readonly #resume: () => void;
  /** Ends the app's response where it is; `end` is called from within. */
  readonly #enough: () => void;
  /** The exchange, or what the filter put in front of it. */
  #response: ResponseWriter;
  #buffer: ResponseBuffer | null = null;
  #buffered: boolean;
  /** A response without a body is sent in one piece with its end. */
  #whole: { status: number; fields: string[] } | null = null;
  #redirect: FileRedirect | null = null;
  #replaced = false;

  constructor(exchange: Exchange, options: RelayOptions, resume: () => void, enough: () => void) {
    this.#exchange = exchange;
    this.#response = exchange;
    this.#options = options;
    this.#resume = resume;
    this.#enough = enough;
    this.#buffered = options.bufferResponse !== null;
  }

  /** Whether the response is a stream that may be quiet for as long as it likes. */
  head(head: ResponseHead): { endless: boolean } {
    const exchange = this.#exchange;
    this.#options.arrived?.(head);
    this.#redirect = fileRedirect(head);
    if (this.#redirect !== null) {
      // Never wait for that body: django-sendfile2 gives its empty one the Content-Length of the file.
      if (head.bodyLength > 0 || head.bodyLength === -2) this.#drop();
      return { endless: false };
    }
    const fields = endToEndFields(head.fields);
    const endless = isEventStream(head.fields) || fieldValue(head.fields, "x-accel-buffering") === "no";
    if (endless) this.#buffered = false;
    this.#options.finishFields(fields, exchange);
    const declared = exchange.method === "HEAD" ? declaredLength(head.fields) : head.bodyLength;
    const length = declared < 0 ? -1 : declared;
    const client = paced(exchange, head.fields);
    this.#response = this.#options.filter(exchange, head.status, fields, length, client);
    if (head.bodyLength === 0 && exchange.method !== "HEAD") {
      this.#whole = { status: head.status, fields };
      return { endless };
    }
    this.#response.begin(head.status, fields, length);
    this.#response.onDrain = this.#resume;
    return { endless };
  }

  /** `data` is valid during the call only. False: stop until `resume` is called. */
  data(data: Buffer): boolean {
    if (this.#redirect !== null) {
      this.#drop();
      return true;
    }
    if (this.#buffer !== null) return this.#buffer.write(data);
    if (this.#response.write(data, true)) return true;
    const { bufferResponse } = this.#options;
    if (!this.#buffered || bufferResponse === null) return false;
    // From here on the client lags behind the app.
    this.#buffer = new ResponseBuffer(this.#exchange, this.#response, bufferResponse, this.#resume);
    return true;
  }

  end(): void {
    if (this.#redirect !== null) {
      this.#replaced = true;
      sendInternalFile(this.#exchange, this.#redirect, this.#options);
      return;
    }
    if (this.#whole !== null) this.#response.begin(this.#whole.status, this.#whole.fields, 0);
    if (this.#buffer !== null) this.#buffer.end();
    else this.#response.finish();
  }

  #drop(): void {
    if (!this.#replaced) this.#enough();
  }

  /** The rest will not come, or nobody is there to get it. */
  close(): void {
    this.#buffer?.close();
  }

  /** So that the client can tell that what it has is not the whole. */
  abort(): void {
    this.#response.abort();
  }
}

function isEventStream(fields: readonly string[]): boolean {
  return /^text\/event-stream\b/i.test(fieldValue(fields, "content-type") ?? "");
}

function declaredLength(fields: readonly string[]): number {
  const value = fieldValue(fields, "content-length");
  return value === undefined ? -1 : Number(value);
}
