import { httpDate } from "../../exchange/http-date.ts";
import { fieldValue } from "../../http1/fields.ts";
import { httpTime, type Freshness } from "./freshness.ts";
import type { CompressedForms, ReadyHead } from "./ready-head.ts";
import type { Storability } from "./storability.ts";

/** What a response costs beside its body, its fields and its key, bytes: objects, lists, places in maps. */
const OVERHEAD = 1024;

/** Never stored: they belong to one response, or Paddock makes them anew for each. */
const NOT_STORED = new Set(["age", "x-request-id", "server-timing", "x-accel-expires", "set-cookie"]);

/** A 304 does not change what they say about the stored body (RFC 9111 section 3.2). */
const OF_THE_BODY = new Set(["content-encoding", "content-type", "content-range", "content-length"]);

export type StorableTerms = Extract<Storability, { stored: true }>;

/** One response in the cache. It does not change; a validated one takes its place. */
export class StoredResponse {
  readonly key: string;
  readonly status: number;
  readonly fields: readonly string[];
  readonly body: Buffer;
  /** Field that it depends on, and what the request had, alternating (RFC 9111 section 4.1). */
  readonly selecting: readonly string[];
  readonly forEverybody: boolean;
  /** The app's, also a weak one; the empty string where there is none. */
  readonly etag: string;
  readonly lastModified: string;
  /** Bytes of memory, about, without its compressed forms. */
  readonly size: number;
  readonly freshness: Freshness;
  /** When it came or was validated, milliseconds since the epoch. */
  readonly receivedAt: number;
  /** The head as clients get it, made once; see serving.ts. */
  ready: ReadyHead | null = null;
  /** Its body compressed, once somebody asked for that; see kept-forms.ts. */
  forms: CompressedForms | null = null;

  constructor(
    key: string,
    head: { readonly status: number; readonly fields: readonly string[] },
    body: Buffer,
    terms: StorableTerms,
    selecting: readonly string[],
    now: number,
  ) {
    this.key = key;
    this.status = head.status;
    this.fields = withoutNotStored(head.fields);
    // RFC 9110 section 6.6.1: who receives a response without a Date notes when.
    if (fieldValue(this.fields, "date") === undefined) this.fields = [...this.fields, "date", httpDate()];
    this.body = body;
    this.selecting = selecting;
    this.forEverybody = terms.forEverybody;
    this.freshness = terms.freshness;
    this.receivedAt = now;
    this.etag = fieldValue(this.fields, "etag") ?? "";
    this.lastModified = fieldValue(this.fields, "last-modified") ?? "";
    const text = [...this.fields, ...selecting].reduce((sum, part) => sum + part.length, key.length);
    this.size = body.length + text + OVERHEAD;
  }

  /** RFC 9111 section 4.2.3, current_age, whole seconds. */
  age(now: number): number {
    return Math.max(0, Math.floor(this.freshness.initialAge + (now - this.receivedAt) / 1000));
  }

  /** Seconds that it is still fresh; negative for one that is stale. */
  ttl(now: number): number {
    return Math.floor(this.freshness.lifetime - this.freshness.initialAge - (now - this.receivedAt) / 1000);
  }

  isFresh(now: number): boolean {
    return this.freshness.lifetime - this.freshness.initialAge > (now - this.receivedAt) / 1000;
  }

  maySpeakWhileRevalidating(now: number): boolean {
    return this.ttl(now) + this.freshness.whileRevalidating >= 0 && this.freshness.whileRevalidating > 0;
  }

  maySpeakIfError(now: number): boolean {
    return this.ttl(now) + this.freshness.ifError >= 0 && this.freshness.ifError > 0;
  }

  /** Whether a request with these fields selects it. */
  suits(requestFields: readonly string[]): boolean {
    for (let index = 0; index < this.selecting.length; index += 2)
      if (combined(requestFields, this.selecting[index] as string) !== this.selecting[index + 1])
        return false;
    return true;
  }

  /** The fields of a request that asks whether it is still good (RFC 9111 section 4.3.1). */
  validators(): string[] {
    return [
      ...(this.etag === "" ? [] : ["if-none-match", this.etag]),
      ...(this.lastModified === "" ? [] : ["if-modified-since", this.lastModified]),
    ];
  }

  /** Its fields as a 304 changes them (RFC 9111 section 3.2). */
  refreshedFields(fields: readonly string[]): string[] {
    const replaced = new Set(fields.filter((name, index) => index % 2 === 0 && !OF_THE_BODY.has(name)));
    const kept: string[] = [];
    for (let index = 0; index < this.fields.length; index += 2) {
      const name = this.fields[index] as string;
      if (!replaced.has(name)) kept.push(name, this.fields[index + 1] as string);
    }
    for (let index = 0; index < fields.length; index += 2) {
      const name = fields[index] as string;
      if (replaced.has(name)) kept.push(name, fields[index + 1] as string);
    }
    return kept;
  }

  /** RFC 9111 section 4.3.4: whether a 304 with these fields is about this response and not about another. */
  isMeantBy(fields: readonly string[]): boolean {
    const etag = fieldValue(fields, "etag");
    if (etag !== undefined) return opaque(etag) === opaque(this.etag);
    const modified = httpTime(fieldValue(fields, "last-modified"));
    return modified === undefined || modified === httpTime(this.lastModified);
  }
}

/** What the request had in the fields that the response depends on. */
export function selectingFields(names: readonly string[], requestFields: readonly string[]): string[] {
  return names.flatMap((name) => [name, combined(requestFields, name)]);
}

/** All lines of a field as one; the empty string where it is absent, which is another thing but no other answer. */
function combined(fields: readonly string[], name: string): string {
  let text = "";
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index] !== name) continue;
    const value = fields[index + 1] as string;
    text = text === "" ? value : `${text}, ${value}`;
  }
  return text;
}

function opaque(etag: string): string {
  return etag.startsWith("W/") ? etag.slice(2) : etag;
}

function withoutNotStored(fields: readonly string[]): string[] {
  const kept: string[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string;
    if (!NOT_STORED.has(name)) kept.push(name, fields[index + 1] as string);
  }
  return kept;
}
