import { isIP } from "node:net";
import { addressBits } from "../config/networks.ts";
import { x509 } from "../tls/x509.ts";
import { canonicalName } from "./certificate-pair.ts";

/** RFC 5280 §4.2.1.10. */
const NAME_CONSTRAINTS = "2.5.29.30";

/** The list goes out in each handshake; with more names than this a shorter one, or none, serves better. */
const MOST_SUBTREES = 32;

/**
 * The name constraints of an intermediate that certifies `names` and nothing else, critical; null where the list is
 * too long. A subtree covers what is below it too, so `*.a.test`, `a.test` and `b.a.test` come to one.
 *
 * Without a permitted name of a kind the kind would be free (RFC 5280 §4.2.1.10), so it is excluded as a whole:
 * addresses by both their networks, names by permitting one that cannot exist (RFC 6761 §6.4).
 */
export function nameConstraints(names: readonly string[]): InstanceType<typeof x509.Extension> | null {
  const all = [...new Set(names.map(canonicalName))];
  const addresses = all.filter((name) => isIP(name) !== 0).sort();
  const hosts = outermost(all.filter((name) => isIP(name) === 0).map((name) => name.replace(/^\*\./, "")));
  if (addresses.length + hosts.length > MOST_SUBTREES) return null;
  const permitted = [
    ...(hosts.length === 0 ? ["invalid"] : hosts).map(dnsSubtree),
    ...addresses.map((address) => addressSubtree(address, true)),
  ];
  const excluded = ["0.0.0.0", "::"]
    .filter((every) => !addresses.some((address) => isIP(address) === isIP(every)))
    .map((every) => addressSubtree(every, false));
  const value = der(
    0x30,
    der(0xa0, ...permitted),
    ...(excluded.length === 0 ? [] : [der(0xa1, ...excluded)]),
  );
  return new x509.Extension(NAME_CONSTRAINTS, true, new Uint8Array(value));
}

/** Whether a certificate has exactly these constraints, or, with null, none. */
export function hasConstraints(certificate: string, wanted: ReturnType<typeof nameConstraints>): boolean {
  const extension = new x509.X509Certificate(certificate).getExtension(NAME_CONSTRAINTS);
  if (extension === null || wanted === null) return extension === wanted;
  return extension.critical && Buffer.from(extension.value).equals(Buffer.from(wanted.value));
}

/** Without those that are below another one; sorted. */
function outermost(hosts: readonly string[]): string[] {
  const set = new Set(hosts);
  const hasParent = (host: string): boolean => {
    const labels = host.split(".");
    return labels.some((_, index) => index > 0 && set.has(labels.slice(index).join(".")));
  };
  return [...set].filter((host) => !hasParent(host)).sort();
}

/** GeneralSubtree with a dNSName. */
function dnsSubtree(host: string): Buffer {
  return der(0x30, der(0x82, Buffer.from(host, "ascii")));
}

/** GeneralSubtree with an iPAddress: the address and its mask, here all or nothing. */
function addressSubtree(address: string, exact: boolean): Buffer {
  const bytes = isIP(address) === 4 ? 4 : 16;
  const digits = addressBits(address)
    .toString(16)
    .padStart(bytes * 2, "0");
  return der(0x30, der(0x87, Buffer.from(digits, "hex"), Buffer.alloc(bytes, exact ? 0xff : 0)));
}

/** A DER value (X.690 §8.1): tag, length, content. */
function der(tag: number, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content);
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const length = body.length.toString(16);
  const octets = Buffer.from(length.padStart(length.length + (length.length % 2), "0"), "hex");
  return Buffer.concat([Buffer.from([tag, 0x80 | octets.length]), octets, body]);
}
