import type { FileHandle } from "node:fs/promises";
import type { StaticMapping } from "../config/configuration.ts";
import { messageOf } from "../errors.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { respondWithError } from "./error-page.ts";
import type { StaticRequest, StaticResult } from "./static/static-answer.ts";
import { createStaticFiles } from "./static/static-files.ts";

/** Bytes of one read of a large file: at 64 KB the system calls cost twice nginx's CPU, at 256 KB nearly nothing. */
const READ_SIZE = 256 * 1024;

type FinishFields = (fields: string[], exchange: Exchange) => void;

/** A site's static files on an Exchange. */
export interface StaticSite {
  /**
   * False where the target is below no static prefix. `restricted`: not everybody may have the file, so that no cache
   * on the way may keep it: `public` would allow that even for an answer to a password (RFC 9111 section 3.5).
   */
  answer(exchange: Exchange, restricted: boolean): boolean;
}

export function createStaticSite(
  mappings: readonly StaticMapping[],
  finish: FinishFields,
  options: { readonly compress: boolean },
): StaticSite {
  const files = createStaticFiles(mappings, options);
  const finishRestricted: FinishFields = (fields, exchange) => {
    finish(fields, exchange);
    for (let index = 0; index < fields.length; index += 2)
      if (fields[index] === "cache-control")
        fields[index + 1] = (fields[index + 1] as string).replace(/^public\b/, "private");
  };
  return {
    answer(exchange, restricted) {
      const complete = restricted ? finishRestricted : finish;
      const { target } = exchange;
      const query = target.indexOf("?");
      const path = query === -1 ? target : target.slice(0, query);
      const result = files.lookup(path, exchange.method, staticRequest(exchange.fields));
      if (result === undefined) return false;
      exchange.handler = "static";
      if (result instanceof Promise) void result.then((settled) => send(exchange, settled, complete));
      else send(exchange, result, complete);
      return true;
    },
  };
}

function staticRequest(fields: readonly string[]): StaticRequest {
  let acceptEncoding: string | undefined;
  let ifNoneMatch: string | undefined;
  let ifModifiedSince: string | undefined;
  let range: string | undefined;
  let ifRange: string | undefined;
  for (let index = 0; index < fields.length; index += 2) {
    const value = fields[index + 1] as string;
    switch (fields[index]) {
      case "accept-encoding":
        acceptEncoding = acceptEncoding === undefined ? value : `${acceptEncoding}, ${value}`;
        break;
      case "if-none-match":
        ifNoneMatch = ifNoneMatch === undefined ? value : `${ifNoneMatch}, ${value}`;
        break;
      case "if-modified-since":
        ifModifiedSince ??= value;
        break;
      case "range":
        range ??= value;
        break;
      case "if-range":
        ifRange ??= value;
        break;
      default:
    }
  }
  return { acceptEncoding, ifNoneMatch, ifModifiedSince, range, ifRange };
}

function send(exchange: Exchange, result: StaticResult, finish: FinishFields): void {
  if (result.kind === "none") {
    if (result.logReason !== undefined) exchange.failure = result.logReason;
    if (result.status >= 400) {
      respondWithError(exchange, result.status, result.fields);
      return;
    }
    const fields = completed(result.fields, exchange, finish);
    exchange.begin(result.status, fields, result.length);
    exchange.finish();
    return;
  }
  const fields = completed(result.fields, exchange, finish);
  if (result.kind === "memory") exchange.respond(result.status, fields, result.body);
  else new FileSending(exchange, result.handle, result.start, result.length).begin(result.status, fields);
}

function completed(shared: readonly string[], exchange: Exchange, finish: FinishFields): string[] {
  const fields = [...shared];
  finish(fields, exchange);
  return fields;
}

/** Sends a part of an open file: one read ahead of the client and no more. */
class FileSending {
  readonly #exchange: Exchange;
  readonly #handle: FileHandle;
  #position: number;
  #remaining: number;
  #ended = false;
  #buffer: Buffer | null = null;

  constructor(exchange: Exchange, handle: FileHandle, start: number, length: number) {
    this.#exchange = exchange;
    this.#handle = handle;
    this.#position = start;
    this.#remaining = length;
  }

  begin(status: number, fields: readonly string[]): void {
    // The client may have gone while the disk was asked; then the exchange is settled and tells nobody any more.
    if (this.#exchange.onSettled === null) {
      this.#close();
      return;
    }
    this.#exchange.onClose = () => this.#close();
    this.#exchange.onDrain = () => void this.#pump();
    this.#exchange.begin(status, fields, this.#remaining);
    void this.#pump();
  }

  async #pump(): Promise<void> {
    try {
      while (this.#remaining > 0) {
        const buffer = this.#buffer ?? Buffer.allocUnsafeSlow(Math.min(READ_SIZE, this.#remaining));
        const wanted = Math.min(buffer.length, this.#remaining);
        this.#buffer = null;
        const { bytesRead } = await this.#handle.read(buffer, 0, wanted, this.#position);
        if (this.#ended) return;
        if (bytesRead === 0) throw new Error("the file became shorter while it was sent");
        this.#position += bytesRead;
        this.#remaining -= bytesRead;
        const last = this.#remaining === 0;
        const flowing = this.#exchange.write(
          bytesRead === buffer.length ? buffer : buffer.subarray(0, bytesRead),
        );
        if (!last && !flowing) {
          // Drained means written: then the buffer is free, and a fresh one would cost a page fault per 4 KB.
          this.#buffer = buffer;
          return;
        }
      }
      this.#close();
      this.#exchange.finish();
    } catch (error) {
      if (this.#ended) return;
      this.#close();
      this.#exchange.failure = messageOf(error);
      this.#exchange.abort();
    }
  }

  #close(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#handle.close().catch(() => undefined);
  }
}
