import type { Exchange } from "../../src/exchange/exchange.ts";

/** The response half of an Exchange that keeps what it gets, and whose client reads as slowly as it is told. */
export class Recorder {
  onDrain: (() => void) | null = null;
  onClose: (() => void) | null = null;
  onSettled: (() => void) | null = null;
  readonly method = "GET";
  readonly fields: readonly string[];
  status = 0;
  failure = "";
  responseFields: readonly string[] = [];
  length = 0;
  finished = false;
  aborted = false;
  readonly parts: Buffer[] = [];
  /** Asked at each write whether the client keeps up. */
  flowing: () => boolean = () => true;

  constructor(fields: readonly string[] = []) {
    this.fields = fields;
  }

  get exchange(): Exchange {
    return this as unknown as Exchange;
  }

  get body(): Buffer {
    return Buffer.concat(this.parts);
  }

  begin(status: number, fields: readonly string[], length: number): void {
    if (this.status !== 0) throw new Error("begun twice");
    this.status = status;
    this.responseFields = fields;
    this.length = length;
  }

  write(bytes: Buffer): boolean {
    if (this.status === 0 || this.finished) throw new Error("a write before begin or after finish");
    this.parts.push(bytes);
    return this.flowing();
  }

  finish(): void {
    if (this.finished) throw new Error("finished twice");
    this.finished = true;
    this.onSettled?.();
  }

  abort(): void {
    this.aborted = true;
    this.onSettled?.();
  }

  settled(): Promise<void> {
    return new Promise((resolve) => {
      if (this.finished || this.aborted) resolve();
      else this.onSettled = resolve;
    });
  }

  field(name: string): string | undefined {
    const at = this.responseFields.findIndex((text, index) => index % 2 === 0 && text === name);
    return at < 0 ? undefined : this.responseFields[at + 1];
  }
}
