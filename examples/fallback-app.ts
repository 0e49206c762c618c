import { createServer } from "node:http";

/**
 * What the demo puts behind the gate where Gunicorn or Django is missing: shows what the app was told.
 * usage: node fallback-app.ts SOCKET
 */
const [path] = process.argv.slice(2);
if (path === undefined) {
  process.stderr.write("usage: node fallback-app.ts SOCKET\n");
  process.exit(2);
}

const TOLD = [
  "host",
  "x-forwarded-for",
  "x-forwarded-proto",
  "x-forwarded-host",
  "x-real-ip",
  "x-request-id",
];

const server = createServer({ keepAliveTimeout: 75_000 }, (request, response) => {
  let received = 0;
  request.on("data", (part: Buffer) => (received += part.length));
  // An answer before the whole body has come would break the client's upload off.
  request.on("end", () => {
    const lines = TOLD.map((name) => `${name}: ${String(request.headers[name] ?? "")}`);
    if (received > 0) lines.push(`body: ${received} bytes`);
    response.writeHead(200, { "content-type": "text/plain; charset=utf-8" });
    response.end(
      `Paddock's demo: a small built-in app, since Django or Gunicorn is missing.\n\n${request.method} ${request.url}\n${lines.join("\n")}\n`,
    );
  });
});
server.on("error", (error) => {
  process.stderr.write(`the built-in app cannot listen on ${path}: ${error.message}\n`);
  process.exit(1);
});
server.listen(path);

const end = (): void => {
  server.close(() => process.exit(0));
  server.closeAllConnections();
};
process.on("SIGTERM", end);
process.on("SIGINT", end);
