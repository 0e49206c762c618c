/** A request that breaks RFC 9112 or a limit, and the status that it must get. */
export interface MalformedCase {
  /** What the cases of one kind have in common; docs/parser-differences.md gives one reason for each. */
  readonly family: string;
  readonly name: string;
  /** As latin1. */
  readonly bytes: string;
  readonly status: number;
  /** The head is fine and the breach is in the body: the exchange exists and its sink must get the status. */
  readonly inBody: boolean;
}

/** `name` and bytes, for a table. */
export type Row = readonly [name: string, bytes: string];

export function heads(family: string, status: number, rows: readonly Row[]): MalformedCase[] {
  return rows.map(([name, bytes]) => ({ family, name, bytes, status, inBody: false }));
}

/** Bodies of a chunked POST, each with the breach in the body. */
export function bodies(family: string, rows: readonly Row[]): MalformedCase[] {
  const head = "POST /upload HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n";
  return rows.map(([name, bytes]) => ({ family, name, bytes: head + bytes, status: 400, inBody: true }));
}

/** A request from its request line and further field lines, Host included. */
export function request(line: string, ...fields: string[]): string {
  return `${[line, "Host: example.com", ...fields].join("\r\n")}\r\n\r\n`;
}

export function get(...fields: string[]): string {
  return request("GET / HTTP/1.1", ...fields);
}

/** A POST whose framing is in `fields`; five bytes and a chunked end follow, whatever they are taken for. */
export function post(...fields: string[]): string {
  return `${request("POST / HTTP/1.1", ...fields)}5\r\nhello\r\n0\r\n\r\n`;
}

/** 0x00 to 0x1f and 0x7f. */
export const CONTROLS: readonly string[] = [...Array(32).keys(), 127].map((code) =>
  String.fromCharCode(code),
);

/** RFC 9110 section 5.6.2: what no token holds. */
export const DELIMITERS: readonly string[] = Array.from('"(),/;<=>?@[\\]{}');

export function hex(char: string): string {
  return `0x${char.charCodeAt(0).toString(16).padStart(2, "0")}`;
}
