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
  const lines = TOLD.map((name) => `${name}: ${String(request.headers[name] ?? "")}`);
  response.writeHead(200, { "content-type": "text/plain; charset=utf-8" });
  response.end(
    `Paddock's demo: a small built-in app, since Django or Gunicorn is missing.\n\n${request.method} ${request.url}\n${lines.join("\n")}\n`,
  );
});
server.listen(path);

const end = (): void => {
  server.close(() => process.exit(0));
  server.closeAllConnections();
};
process.on("SIGTERM", end);
process.on("SIGINT", end);
