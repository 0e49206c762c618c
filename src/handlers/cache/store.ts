import type { StoredResponse } from "./stored-response.ts";

/** Responses of one key that differ by Vary; the oldest makes room. Vary: User-Agent would else fill the memory. */
const MOST_VARIANTS = 16;
/** One response may take this part of the memory. */
const LARGEST_PART = 8;

/** The stored responses of one site in one worker; the one that was not asked for the longest goes first. */
export class CacheStore {
  readonly #memory: number;
  readonly #byKey = new Map<string, StoredResponse[]>();
  /** In the order of their last use. */
  readonly #all = new Set<StoredResponse>();
  /** Bytes that came to a response after it was stored: its compressed forms. */
  readonly #grown = new Map<StoredResponse, number>();
  #bytes = 0;

  /** `memory` in bytes. */
  constructor(memory: number) {
    this.#memory = memory;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes that one response may have. */
  get largest(): number {
    return Math.floor(this.#memory / LARGEST_PART);
  }

  has(key: string): boolean {
    return this.#byKey.has(key);
  }

  /** The newest response that the request selects (RFC 9111 section 4.1). */
  find(key: string, requestFields: readonly string[]): StoredResponse | null {
    const variants = this.#byKey.get(key);
    if (variants === undefined) return null;
    for (let index = variants.length - 1; index >= 0; index--) {
      const variant = variants[index] as StoredResponse;
      if (!variant.suits(requestFields)) continue;
      this.#all.delete(variant);
      this.#all.add(variant);
      return variant;
    }
    return null;
  }

  /** In place of what the same requests selected before; false where it is too large. */
  add(response: StoredResponse): boolean {
    const variants = this.#byKey.get(response.key) ?? [];
    const text = response.selecting.join("\n");
    for (const other of variants) if (other.selecting.join("\n") === text) this.remove(other);
    if (response.size > this.largest) return false;
    const kept = this.#byKey.get(response.key) ?? [];
    if (kept.length >= MOST_VARIANTS) this.remove(kept[0] as StoredResponse);
    this.#byKey.set(response.key, [...(this.#byKey.get(response.key) ?? []), response]);
    this.#all.add(response);
    this.#bytes += response.size;
    this.#makeRoom();
    return true;
  }

  /** Counts `bytes` more for a response; false, and nothing has changed, where it has gone or would be too large. */
  grow(response: StoredResponse, bytes: number): boolean {
    const size = this.#sizeOf(response) + bytes;
    if (!this.#all.has(response) || size > this.largest) return false;
    this.#grown.set(response, (this.#grown.get(response) ?? 0) + bytes);
    this.#bytes += bytes;
    this.#makeRoom();
    return this.#all.has(response);
  }

  remove(response: StoredResponse): void {
    if (!this.#all.delete(response)) return;
    this.#bytes -= this.#sizeOf(response);
    this.#grown.delete(response);
    const rest = (this.#byKey.get(response.key) ?? []).filter((other) => other !== response);
    if (rest.length === 0) this.#byKey.delete(response.key);
    else this.#byKey.set(response.key, rest);
  }

  removeKey(key: string): void {
    for (const response of this.#byKey.get(key) ?? []) this.remove(response);
  }

  removeWhere(matches: (key: string) => boolean): void {
    for (const key of this.#byKey.keys()) if (matches(key)) this.removeKey(key);
  }

  #sizeOf(response: StoredResponse): number {
    return response.size + (this.#grown.get(response) ?? 0);
  }

  #makeRoom(): void {
    for (const oldest of this.#all) {
      if (this.#bytes <= this.#memory) break;
      this.remove(oldest);
    }
  }
}
