const HOST = /^(?:[A-Za-z0-9][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?$/;

/**
 * Host or :authority, RFC 9112 section 3.2: uri-host [":" port]. Null where it is none: user information, spaces,
 * empty names and ports beyond 65535 are refused, as an application builds links from this field. The grammar
 * allows a colon without a port (RFC 3986 section 3.2.3, which asks to leave it out); so does nginx, and so do we,
 * but it goes no further: Django takes `a:` for an attack.
 */
export function readHost(written: string): string | null {
  if (!HOST.test(written)) return null;
  const colon = written.lastIndexOf(":");
  if (colon === -1 || written.endsWith("]")) return written;
  if (colon === written.length - 1) return written.slice(0, -1);
  return Number(written.slice(colon + 1)) <= 65_535 ? written : null;
}
