import { isIP, isIPv6 } from "node:net";
import { resolve } from "node:path";
import type { ListenAddress, UpstreamAddress } from "./configuration.ts";

/** `sun_path` of a Unix socket address holds 108 bytes with its final NUL (unix(7)). */
const LONGEST_SOCKET_PATH = 107;

/** A parsed value, or the sentence that says why there is none. */
export type Parsed<T> = { readonly value: T } | { readonly problem: string };

/** `[::]:443`, `127.0.0.1:80`, `:443` (every address) or `fd:NAME` (a socket passed by systemd). */
export function parseListenAddress(text: string): Parsed<ListenAddress> {
  const [, fdName] = /^fd:(.*)$/.exec(text) ?? [];
  if (fdName !== undefined) {
    // systemd.socket(5), FileDescriptorName=: up to 255 printable characters without a colon.
    if (/^[!-9;-~]{1,255}$/.test(fdName)) return { value: { fdName } };
    return {
      problem: `"${text}" names no socket; write fd:NAME, with the FileDescriptorName of the socket unit`,
    };
  }
  const [, bracketed, plain, digits] = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text) ?? [];
  if (digits === undefined)
    return {
      problem: `"${text}" is no listen address; write ADDRESS:PORT such as "[::]:443" or "127.0.0.1:80"`,
    };
  const port = Number(digits);
  if (port > 65535) return { problem: `port ${digits} is out of range; ports end at 65535` };
  if (bracketed !== undefined) {
    if (isIPv6(bracketed) && !bracketed.includes("%")) return { value: { host: bracketed, port } };
    return { problem: `"${bracketed}" is no IPv6 address` };
  }
  const host = plain === "" || plain === undefined ? "::" : plain;
  if (isIP(host) !== 0) return { value: { host, port } };
  if (host === "localhost")
    return { problem: `write 127.0.0.1:${port} or [::1]:${port} in place of localhost` };
  return { problem: `"${host}" is no IP address; Paddock listens on addresses, not on names` };
}

/** The text of a listen address, as `parseListenAddress` reads it. */
export function formatListenAddress(address: ListenAddress): string {
  if ("fdName" in address) return `fd:${address.fdName}`;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** An address, or a network in CIDR notation (RFC 4632 section 3.1). */
export function parseNetwork(text: string): Parsed<string> {
  const [address = "", prefix, ...more] = text.split("/");
  const version = isIP(address);
  if (version === 0 || address.includes("%") || more.length > 0)
    return { problem: `"${text}" is no address and no network; write for example 192.0.2.7 or 10.0.0.0/8` };
  if (prefix === undefined) return { value: text };
  const longest = version === 4 ? 32 : 128;
  if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > longest)
    return { problem: `"${text}": the length of an IPv${version} prefix is a number from 0 to ${longest}` };
  return { value: text };
}

/** Whether the text is an address in itself, and not the name of an entry under `upstreams`. */
export function looksLikeUpstreamAddress(text: string): boolean {
  return /[:/]/.test(text);
}

/** `unix:PATH` (relative to `folder`) or `http://HOST:PORT`. */
export function parseUpstreamAddress(text: string, folder: string): Parsed<UpstreamAddress> {
  if (text.startsWith("unix:")) {
    const written = text.slice("unix:".length);
    if (written === "") return { problem: "the path of the socket is missing after unix:" };
    if (written.startsWith("//"))
      return { problem: `write unix:${written.replace(/^\/+/, "/")}, with one slash` };
    const path = resolve(folder, written);
    if (Buffer.byteLength(path) > LONGEST_SOCKET_PATH)
      return { problem: `the path of a Unix socket may have at most ${LONGEST_SOCKET_PATH} bytes` };
    return { value: { kind: "unix", path } };
  }
  if (text.startsWith("/"))
    return { problem: `a socket is written with unix: in front; did you mean "unix:${text}"?` };
  if (text.startsWith("https://"))
    return {
      problem: "https to the app is not available in this version; use http://HOST:PORT or unix:PATH",
    };
  if (!text.startsWith("http://")) {
    const hint = /^[\w.-]+:\d+$/.test(text) ? `; did you mean "http://${text}"?` : "";
    return { problem: `"${text}" is no upstream; write unix:PATH or http://HOST:PORT${hint}` };
  }
  const [, bracketed, name, digits, rest = ""] =
    /^http:\/\/(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?(.*)$/s.exec(text) ?? [];
  const host = bracketed ?? name;
  if (host === undefined || (bracketed !== undefined && !isIPv6(bracketed)))
    return { problem: `"${text}" names no host; write http://HOST:PORT such as http://127.0.0.1:8000` };
  if (rest !== "" && rest !== "/") return { problem: `an upstream has no path; remove "${rest}"` };
  if (digits === undefined)
    return { problem: `the port is missing; write "http://HOST:PORT" such as http://127.0.0.1:8000` };
  const port = Number(digits);
  if (port < 1 || port > 65535)
    return { problem: `port ${digits} is out of range; ports go from 1 to 65535` };
  return { value: { kind: "tcp", host, port } };
}
