import { createHash } from "node:crypto";
import type { Tunnel } from "../exchange/tunnel.ts";
import { fieldValue } from "../http1/fields.ts";
import type { UpstreamConnection } from "../upstream/connection.ts";

/**
 * Joins the client's side and the app's: bytes both ways, each side read only as fast as the other takes them, and
 * both closed when one is. `first`: what the app sent right behind its agreement; valid during the call only.
 */
export function joinTunnels(
  client: Tunnel,
  app: UpstreamConnection,
  first: Buffer,
  closed: () => void,
): void {
  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false;
    closed();
  };
  client.onData = (data) => {
    if (open && !app.write(Buffer.from(data))) client.pause();
  };
  client.onDrain = () => app.resume();
  client.onClose = () => {
    app.destroy();
    close();
  };
  app.onWritable = () => client.resume();
  app.tunnel({
    data: (data) => client.write(data, true),
    end: () => {
      client.end();
      close();
    },
  });
  if (first.length > 0 && !client.write(first, true)) app.pause();
}

/** RFC 6455 section 1.3. */
const WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** Why the app's 101 is no agreement to this WebSocket (RFC 6455 section 4.1), or null where it is one. */
export function upgradeProblem(request: readonly string[], response: readonly string[]): string | null {
  if (fieldValue(response, "upgrade")?.toLowerCase() !== "websocket")
    return "a 101 without Upgrade: websocket";
  const key = fieldValue(request, "sec-websocket-key") ?? "";
  const accept = createHash("sha1").update(`${key}${WEBSOCKET_GUID}`).digest("base64");
  return fieldValue(response, "sec-websocket-accept") === accept
    ? null
    : "a 101 whose Sec-WebSocket-Accept does not fit the key";
}
