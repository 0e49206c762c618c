import { isIPv4 } from "node:net";

/**
 * The header with which a connection to an app begins, so that it knows the client's address (Gunicorn's
 * `--proxy-protocol`). The destination is not known here and is said to be unspecified; ports are 0.
 */
export function proxyHeader(version: 1 | 2, client: string): Buffer {
  return version === 1 ? version1(client) : version2(client);
}

/** Section 2.1. */
function version1(client: string): Buffer {
  const [family, destination] = isIPv4(client) ? ["TCP4", "0.0.0.0"] : ["TCP6", "::"];
  return Buffer.from(`PROXY ${family} ${client} ${destination} 0 0\r\n`, "latin1");
}

/** Section 2.2. */
function version2(client: string): Buffer {
  const address = isIPv4(client) ? Buffer.from(client.split(".").map(Number)) : ipv6Bytes(client);
  const header = Buffer.alloc(16 + 2 * address.length + 4);
  header.set([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]);
  header[12] = 0x21; // version 2, command PROXY
  header[13] = address.length === 4 ? 0x11 : 0x21; // TCP over IPv4 or IPv6
  header.writeUInt16BE(2 * address.length + 4, 14);
  address.copy(header, 16);
  return header;
}

/** RFC 4291 section 2.2; the URL parser writes the last 32 bits as groups where they were given as IPv4. */
function ipv6Bytes(address: string): Buffer {
  const [head = "", tail] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split("::");
  const groups = (part: string): number[] =>
    part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16));
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => 0);
  const bytes = Buffer.alloc(16);
  for (const [at, group] of [...before, ...zeros, ...after].entries()) bytes.writeUInt16BE(group, 2 * at);
  return bytes;
}
