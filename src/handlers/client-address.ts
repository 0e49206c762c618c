import { isIP } from "node:net";
import type { AddressList } from "../exchange/address-list.ts";
import type { Exchange } from "../exchange/exchange.ts";

/** Believes what a trusted proxy says of the client: for the log, for limits, and for the app. */
export function believeTrustedProxy(exchange: Exchange, trusted: AddressList): void {
  const peer = exchange.clientAddress;
  if (!trusted.has(peer)) return;
  const forwardedFor: string[] = [];
  for (let index = 0; index < exchange.fields.length; index += 2) {
    if (exchange.fields[index] === "x-forwarded-for") forwardedFor.push(exchange.fields[index + 1] as string);
  }
  exchange.forwardedFor = [...forwardedFor, peer].join(", ");
  exchange.clientAddress = clientAddress(peer, forwardedFor, trusted);
}

/**
 * The client's address where the peer may be a trusted proxy: the last address in X-Forwarded-For that is not one of
 * ours (nginx: real_ip_recursive). Anything in the field that is no address ends the search, since what stands before
 * it could have been made up; the last that was right counts.
 */
export function clientAddress(peer: string, forwardedFor: readonly string[], trusted: AddressList): string {
  let client = peer;
  const hops = forwardedFor.flatMap((value) => value.split(",")).map((hop) => hop.trim());
  for (let index = hops.length - 1; index >= 0 && trusted.has(client); index--) {
    const hop = withoutPort(hops[index] as string);
    // Node's isIP takes any text for a zone (RFC 4007 section 11), which no other machine can use.
    if (isIP(hop) === 0 || hop.includes("%")) break;
    client = hop.toLowerCase();
  }
  return client;
}

/** Some balancers write `192.0.2.1:4711` and `[2001:db8::1]:4711`. */
function withoutPort(hop: string): string {
  return /^\[([^\]]+)\](?::\d+)?$/.exec(hop)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(hop)?.[1] ?? hop;
}
