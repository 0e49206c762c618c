import { isIP, isIPv6 } from "node:net";
import { domainToASCII } from "node:url";
import type { Parsed } from "./addresses.ts";
import { isBelowLocalSuffix } from "./local-names.ts";

const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * A site's name as TLS and HTTP compare it: lower case, A-labels (RFC 5890), `*.` for exactly one label (RFC
 * 6125 section 6.4.3), or an IP address in its shortest form without brackets.
 */
export function parseSiteName(written: string): Parsed<string> {
  if (written === "") return { problem: "a name is empty" };
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(written)) {
    const host = /^[^:]+:\/\/([^/:?#]*)/.exec(written)?.[1] ?? "";
    return { problem: `"${written}" is a URL; write the name alone${host === "" ? "" : `: ${host}`}` };
  }
  const bare = written.replace(/^\[(.*)\]$/, "$1");
  if (isIP(bare) !== 0) return parseAddress(bare);
  if (/^.+:\d+$/.test(written)) return { problem: `"${written}" has a port; ports belong under listen` };
  if (written.endsWith(".")) return { problem: `"${written}" ends in a dot; write it without` };

  const wildcard = written.startsWith("*.");
  const name = wildcard ? written.slice(2) : written;
  if (name.includes("*"))
    return { problem: `"${written}": a wildcard stands for one label, at the beginning: *.example.com` };
  if (/[\s/\\_@%]/.test(name)) return { problem: `"${written}" is no host name` };
  const ascii = domainToASCII(name);
  // domainToASCII reads "1.2.3" as the address 1.2.0.3, which nobody meant.
  if (
    ascii === "" ||
    isIP(ascii) !== 0 ||
    ascii.length > 253 ||
    !ascii.split(".").every((l) => LABEL.test(l))
  )
    return { problem: `"${written}" is no host name` };
  if (wildcard && !ascii.includes(".") && !isBelowLocalSuffix(ascii))
    return { problem: `"${written}" would match a whole top-level domain` };
  return { value: wildcard ? `*.${ascii}` : ascii };
}

function parseAddress(address: string): Parsed<string> {
  if (address.includes("%"))
    return { problem: `"${address}": an address with a zone cannot be a site's name` };
  if (!isIPv6(address)) return { value: address };
  return { value: new URL(`http://[${address}]/`).hostname.slice(1, -1) };
}
