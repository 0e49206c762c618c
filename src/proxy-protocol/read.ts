import { isIP, isIPv4, isIPv6 } from "node:net";

/** The PROXY protocol, versions 1 and 2, section numbers of the specification of 2020-03-05. */

/** Section 2.2. */
const SIGNATURE = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]);
/** Section 2.1: with its CRLF a line of version 1 has at most this many bytes. */
const LONGEST_LINE = 107;
/** Addresses and a few TLVs; nobody needs the 65535 that the length could say. */
const LONGEST_BODY = 2048;

export type ProxyHeader =
  /** More bytes are needed. */
  | "incomplete"
  /** What came is no PROXY header, or a wrong one: the connection MUST be closed (section 2). */
  | "invalid"
  | {
      /** The client's address; null where the sender speaks for itself (LOCAL, UNKNOWN). */
      readonly address: string | null;
      /** Bytes of the header. */
      readonly length: number;
    };

/** Reads the header at the beginning of a connection. */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (bytes.length === 0) return "incomplete";
  if (bytes[0] === SIGNATURE[0]) return readVersion2(bytes);
  return readVersion1(bytes);
}

/** Section 2.1: `PROXY TCP4 SOURCE DESTINATION SOURCEPORT DESTINATIONPORT CRLF`, single spaces. */
function readVersion1(bytes: Buffer): ProxyHeader {
  const start = bytes.toString("latin1", 0, LONGEST_LINE);
  if (!"PROXY ".startsWith(start.slice(0, 6))) return "invalid";
  const end = start.indexOf("\r\n");
  if (end === -1) return start.length < LONGEST_LINE ? "incomplete" : "invalid";
  const length = end + 2;
  const [, family, ...rest] = start.slice(0, end).split(" ");
  // What follows UNKNOWN MUST be ignored.
  if (family === "UNKNOWN") return { address: null, length };
  const [source = "", destination = "", ...ports] = rest;
  const isAddress = family === "TCP4" ? isIPv4 : family === "TCP6" ? isPlainIPv6 : () => false;
  if (!isAddress(source) || !isAddress(destination)) return "invalid";
  if (ports.length !== 2 || !ports.every(isPort)) return "invalid";
  return { address: plain(source), length };
}

/** Without a zone (RFC 4007 section 11), which is a machine's own name for a line: Node's isIPv6 takes any text for it. */
function isPlainIPv6(text: string): boolean {
  return isIPv6(text) && !text.includes("%");
}

function isPort(text: string): boolean {
  return /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65535;
}

/** Section 2.2. */
function readVersion2(bytes: Buffer): ProxyHeader {
  const signature = bytes.subarray(0, SIGNATURE.length);
  if (!signature.equals(SIGNATURE.subarray(0, signature.length))) return "invalid";
  if (bytes.length < 16) return "incomplete";
  const [version, command] = [(bytes[12] as number) >> 4, (bytes[12] as number) & 15];
  const body = bytes.readUInt16BE(14);
  if (version !== 2 || command > 1 || body > LONGEST_BODY) return "invalid";
  const length = 16 + body;
  if (bytes.length < length) return "incomplete";
  if (command === 0) return { address: null, length };
  switch (bytes[13]) {
    case 0x11:
      if (body < 12) return "invalid";
      return { address: bytes.subarray(16, 20).join("."), length };
    case 0x21: {
      if (body < 36) return "invalid";
      const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(16 + 2 * at).toString(16));
      return { address: plain(groups.join(":")), length };
    }
    case 0x00:
      return { address: null, length };
    default:
      // A Unix socket or a datagram: no client of a web site.
      return "invalid";
  }
}

/** An address in its usual form (RFC 5952), one that stands for IPv4 as that. */
function plain(address: string): string {
  if (isIP(address) === 4) return address;
  const host = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(host);
  if (mapped === null) return host;
  const [high, low] = [Number.parseInt(mapped[1] as string, 16), Number.parseInt(mapped[2] as string, 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}
