/** What a ClientHello says about the name that it wants and what it will speak there. */
export interface ClientHello {
  /** RFC 6066 section 3, lower case; empty where there is none. */
  readonly serverName: string;
  /** RFC 7301 section 3.1, in the client's order; empty where it offers none. */
  readonly protocols: readonly string[];
}

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const PROTOCOL_NEGOTIATION = 16;
const HOST_NAME = 0;

/** RFC 8446 section 5.1: what one plaintext record may hold. */
const LONGEST_RECORD = 16384;
/** OpenSSL gives up at a ClientHello of 131396 bytes; the ones of browsers, post-quantum keys included, have 2000. */
const LONGEST_HELLO = 16384;

/**
 * Reads a ClientHello (RFC 8446 section 4.1.2) from the first bytes of a connection, in one record or in several.
 *
 * It judges nothing: what is "unreadable" here is left to OpenSSL, which says by an alert what is wrong.
 */
export function readClientHello(bytes: Buffer): ClientHello | "incomplete" | "unreadable" {
  const message = handshakeMessage(bytes);
  if (typeof message === "string") return message;
  try {
    return clientHello(new Reader(message));
  } catch (error) {
    if (error instanceof RangeError) return "unreadable";
    throw error;
  }
}

/** The ClientHello's body out of its records. */
function handshakeMessage(bytes: Buffer): Buffer | "incomplete" | "unreadable" {
  const parts: Buffer[] = [];
  let gathered = 0;
  for (let at = 0; ; ) {
    if (bytes.length > at && bytes[at] !== HANDSHAKE) return "unreadable";
    if (bytes.length < at + 5) return "incomplete";
    const length = bytes.readUInt16BE(at + 3);
    if (length === 0 || length > LONGEST_RECORD) return "unreadable";
    const part = bytes.subarray(at + 5, at + 5 + length);
    parts.push(part);
    gathered += part.length;
    const message = parts.length === 1 ? part : Buffer.concat(parts, gathered);
    if (message.length > 0 && message[0] !== CLIENT_HELLO) return "unreadable";
    if (message.length >= 4) {
      const wanted = message.readUIntBE(1, 3);
      if (wanted > LONGEST_HELLO) return "unreadable";
      if (message.length >= 4 + wanted) return message.subarray(4, 4 + wanted);
    }
    if (part.length < length) return "incomplete";
    at += 5 + length;
  }
}

function clientHello(hello: Reader): ClientHello {
  hello.skip(2 + 32);
  hello.vector(1);
  hello.vector(2);
  hello.vector(1);
  let serverName = "";
  const protocols: string[] = [];
  // TLS 1.2 lets the extensions out altogether (RFC 5246 section 7.4.1.2).
  const extensions = hello.ended ? hello : hello.vector(2);
  while (!extensions.ended) {
    const type = extensions.number(2);
    const body = extensions.vector(2);
    if (type === SERVER_NAME) {
      for (const names = body.vector(2); !names.ended; ) {
        const kind = names.number(1);
        const name = names.vector(2).text();
        if (kind === HOST_NAME) serverName = name.toLowerCase();
      }
    } else if (type === PROTOCOL_NEGOTIATION) {
      for (const list = body.vector(2); !list.ended; ) protocols.push(list.vector(1).text());
    }
  }
  return { serverName, protocols };
}

/** RFC 8446 section 3.4: numbers, and vectors with their length in front. Throws RangeError behind the end. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get ended(): boolean {
    return this.#at === this.#bytes.length;
  }

  number(size: 1 | 2): number {
    const at = this.#advance(size);
    return this.#bytes.readUIntBE(at, size);
  }

  skip(length: number): void {
    this.#advance(length);
  }

  vector(size: 1 | 2): Reader {
    const length = this.number(size);
    const at = this.#advance(length);
    return new Reader(this.#bytes.subarray(at, at + length));
  }

  text(): string {
    return this.#bytes.toString("latin1");
  }

  #advance(length: number): number {
    const at = this.#at;
    if (at + length > this.#bytes.length) throw new RangeError("a vector ends behind the message");
    this.#at = at + length;
    return at;
  }
}
