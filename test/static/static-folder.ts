import { mkdirSync, mkdtempSync, realpathSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { StaticRequest, StaticResult } from "../../src/handlers/static/static-answer.ts";
import {
  createStaticFiles,
  type StaticFiles,
  type StaticOptions,
} from "../../src/handlers/static/static-files.ts";

/** A static folder on the real disk, below `/static/`, with a clock that the test moves. */
export class StaticFolder {
  readonly base: string;
  readonly folder: string;
  readonly files: StaticFiles;
  /** Milliseconds since the epoch. */
  now = Date.now();

  constructor(options: Omit<StaticOptions, "now"> = {}) {
    this.base = realpathSync(mkdtempSync(join(tmpdir(), "paddock-static-")));
    this.folder = join(this.base, "static");
    mkdirSync(this.folder);
    const mapping = { prefix: "/static/", folder: this.folder };
    this.files = createStaticFiles([mapping], { ...options, now: () => this.now });
  }

  /** Writes a file, as old as a minute unless it is to be as new as it is. */
  write(name: string, content: string | Buffer, age = 60): string {
    const path = join(this.folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    const time = Date.now() / 1000 - age;
    if (age > 0) utimesSync(path, time, time);
    return path;
  }

  /** The result, waited for where it is a promise. */
  async get(name: string, fields: Partial<StaticRequest> = {}, method = "GET"): Promise<StaticResult> {
    const result = await this.files.lookup(`/static/${name}`, method, request(fields));
    if (result === undefined) throw new Error("the path is below no prefix");
    return result;
  }

  remove(): void {
    rmSync(this.base, { recursive: true, force: true });
  }
}

export function request(fields: Partial<StaticRequest> = {}): StaticRequest {
  return {
    acceptEncoding: undefined,
    ifNoneMatch: undefined,
    ifModifiedSince: undefined,
    range: undefined,
    ifRange: undefined,
    ...fields,
  };
}

/** The value of a response field, or undefined. */
export function field(result: StaticResult, name: string): string | undefined {
  const at = result.fields.findIndex((text, index) => index % 2 === 0 && text === name);
  return at < 0 ? undefined : result.fields[at + 1];
}

/** The bytes that a client would get; closes the file. */
export async function bytesOf(result: StaticResult): Promise<Buffer> {
  if (result.kind === "none") return Buffer.alloc(0);
  if (result.kind === "memory") return result.body;
  const buffer = Buffer.alloc(result.length);
  await result.handle.read(buffer, 0, result.length, result.start);
  await result.handle.close();
  return buffer;
}
