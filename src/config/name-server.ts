import { isIP, isIPv6 } from "node:net";
import type { Parsed } from "./addresses.ts";

/** `192.0.2.53`, `192.0.2.53:5353`, `2001:db8::53` or `[2001:db8::53]:5353`; port 53 unless given. */
export function parseNameServer(text: string): Parsed<string> {
  if (isIP(text) !== 0 && !text.includes("%")) return { value: text };
  const [, bracketed, plain, digits] = /^(?:\[([^\]%]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text) ?? [];
  const isAddress = bracketed === undefined ? isIP(plain ?? "") !== 0 : isIPv6(bracketed);
  if (!isAddress)
    return { problem: `"${text}" is no address of a name server; write 192.0.2.53 or "[2001:db8::53]:53"` };
  const port = Number(digits);
  if (port < 1 || port > 65535)
    return { problem: `port ${digits} is out of range; ports go from 1 to 65535` };
  return { value: text };
}
