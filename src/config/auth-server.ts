import { parseUpstreamAddress, type Parsed } from "./addresses.ts";
import type { UpstreamAddress } from "./configuration.ts";

/** `http://HOST:PORT`, with a path or without, or `unix:PATH` (relative to `folder`). Path: null where it has none. */
export function parseAuthServer(
  text: string,
  folder: string,
): Parsed<{ readonly address: UpstreamAddress; readonly path: string | null }> {
  const [, server = text, path = null] = /^(http:\/\/[^/]+)(\/.+)$/.exec(text) ?? [];
  if (path !== null && !/^\/[\x21\x22\x24-\x7e]*$/.test(path))
    return { problem: `"${path}" is no path; write for example /verify` };
  const address = parseUpstreamAddress(server, folder);
  return "problem" in address ? address : { value: { address: address.value, path } };
}
