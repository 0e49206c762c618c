/** A small app on a Unix socket, for what Gunicorn cannot be made to do on demand. */
import { once } from "node:events";
import { createServer, type Server as HttpServer } from "node:http";
import { createServer as createRawServer, type Server, type Socket } from "node:net";

export interface App {
  readonly requests: { method: string; url: string; fields: string[] }[];
  stop(): Promise<void>;
}

/** Answers every request with 200 and the request as JSON; `/bytes/N` with N bytes; POST with the body's length. */
export async function startApp(path: string): Promise<App> {
  const requests: App["requests"] = [];
  const server = createServer((request, response) => {
    const { method = "", url = "", rawHeaders } = request;
    requests.push({ method, url, fields: rawHeaders });
    let length = 0;
    request.on("data", (part: Buffer) => (length += part.length));
    request.on("end", () => {
      const bytes = /^\/bytes\/(\d+)$/.exec(url);
      if (bytes !== null) response.end(Buffer.alloc(Number(bytes[1]), 0x61));
      else response.end(JSON.stringify({ method, url, length, fields: rawHeaders }));
    });
  });
  server.listen(path);
  await once(server, "listening");
  return { requests, stop: () => close(server) };
}

/** Answers each connection with bytes that the test writes itself. */
export async function startRawApp(
  path: string,
  answer: (socket: Socket, head: string) => void,
): Promise<{ stop(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createRawServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (data) => answer(socket, data.toString("latin1")));
  });
  server.listen(path);
  await once(server, "listening");
  return {
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await close(server);
    },
  };
}

async function close(server: Server | HttpServer): Promise<void> {
  const closed = once(server, "close");
  server.close();
  if ("closeAllConnections" in server) server.closeAllConnections();
  await closed;
}
