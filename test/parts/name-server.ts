/**
 * A name server of the test's own, over UDP on loopback: pebble-challtestsrv knows no SOA and no NS, so the way from a
 * name to the servers of its zone needs another one. It answers from a table and understands nothing but questions.
 */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";

const TYPES = { A: 1, NS: 2, CNAME: 5, SOA: 6, TXT: 16, AAAA: 28, CAA: 257 } as const;
type Type = keyof typeof TYPES;

/** RFC 1035 section 4.1.1, RFC 2136. */
const NXDOMAIN = 3;
const REFUSED = 5;

export class NameServer implements AsyncDisposable {
  /** Name, a space and the type, to the records: addresses, names, texts, or `FLAGS TAG VALUE` of CAA. */
  readonly records = new Map<string, string[]>();
  readonly asked: string[] = [];
  mood: "answering" | "refusing" | "silent" = "answering";
  readonly #socket: Socket = createSocket("udp4");

  constructor() {
    this.#socket.on("message", (message, from) => {
      const answer = this.#answer(message);
      if (answer !== null) this.#socket.send(answer, from.port, from.address);
    });
  }

  async listen(address: string, port = 0): Promise<this> {
    this.#socket.bind(port, address);
    await once(this.#socket, "listening");
    return this;
  }

  get port(): number {
    return this.#socket.address().port;
  }

  get address(): string {
    return `${this.#socket.address().address}:${this.port}`;
  }

  set(name: string, type: Type, ...values: string[]): this {
    this.records.set(`${name} ${type}`, values);
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }

  #answer(message: Buffer): Buffer | null {
    const labels: string[] = [];
    let at = 12;
    for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
      labels.push(message.toString("latin1", at + 1, at + 1 + length));
      at += 1 + length;
    }
    const question = message.subarray(12, at + 5);
    const name = labels.join(".").toLowerCase();
    const number = message.readUInt16BE(at + 1);
    const type = (Object.keys(TYPES) as Type[]).find((key) => TYPES[key] === number);
    this.asked.push(`${name} ${type ?? number}`);
    if (this.mood === "silent") return null;
    if (this.mood === "refusing") return reply(message, question, REFUSED, []);
    const alias = this.records.get(`${name} CNAME`);
    // As a resolver does: an alias is followed, and its target's records come along.
    const owner = type === "CNAME" ? name : (alias?.[0] ?? name);
    const answers = [
      ...(alias === undefined ? [] : [record(name, "CNAME", alias[0] ?? "")]),
      ...(type === undefined || type === "CNAME"
        ? []
        : (this.records.get(`${owner} ${type}`) ?? []).map((value) => record(owner, type, value))),
    ];
    const exists = [...this.records.keys()].some((key) => `.${key.split(" ")[0]}`.endsWith(`.${name}`));
    return reply(message, question, exists ? 0 : NXDOMAIN, answers);
  }
}

/** RFC 1035 section 4.1: header, question, answers. */
function reply(message: Buffer, question: Buffer, code: number, answers: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(12);
  message.copy(header, 0, 0, 2);
  header.writeUInt16BE(0x8580 | code, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(answers.length, 6);
  return Buffer.concat([header, question, ...answers]);
}

function record(owner: string, type: Type, value: string): Buffer {
  const data = dataOf(type, value);
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(TYPES[type], 0);
  fixed.writeUInt16BE(1, 2);
  fixed.writeUInt32BE(0, 4);
  fixed.writeUInt16BE(data.length, 8);
  return Buffer.concat([nameOf(owner), fixed, data]);
}

function dataOf(type: Type, value: string): Buffer {
  if (type === "A") return Buffer.from(value.split(".").map(Number));
  if (type === "AAAA") return ipv6Of(value);
  if (type === "CAA") return caaOf(value);
  if (type === "TXT") return textOf(value);
  if (type === "SOA") return Buffer.concat([nameOf(value), nameOf("hostmaster.example"), Buffer.alloc(20)]);
  return nameOf(value);
}

/** An address with at most one `::`. */
function ipv6Of(value: string): Buffer {
  const [head = "", tail = ""] = value.split("::");
  const groups = (text: string): string[] => (text === "" ? [] : text.split(":"));
  const missing = 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...Array.from({ length: missing }, () => "0"), ...groups(tail)];
  return Buffer.from(all.map((group) => group.padStart(4, "0")).join(""), "hex");
}

/** RFC 8659 section 4.1. */
function caaOf(value: string): Buffer {
  const [flags = "", tag = "", ...text] = value.split(" ");
  return Buffer.concat([Buffer.from([Number(flags), tag.length]), Buffer.from(tag + text.join(" "))]);
}

/** In strings of at most 20 bytes, so that whoever reads it has to join them. */
function textOf(value: string): Buffer {
  const parts = value.match(/.{1,20}/g) ?? [""];
  return Buffer.concat(parts.map((part) => Buffer.from([part.length, ...Buffer.from(part)])));
}

function nameOf(name: string): Buffer {
  const labels = name.split(".").map((label) => Buffer.from([label.length, ...Buffer.from(label)]));
  return Buffer.concat([...labels, Buffer.from([0])]);
}
