/**
 * The server that a README's ten lines make of http-proxy, with a line of access log.
 *
 * Its agent keeps connections to the app alive. Without one http-proxy passes the app's `Connection: close` on to
 * the client, and the row would measure a TLS handshake per request: a comparison too easy to win.
 * Arguments: port, socket, cert, key.
 */
import { readFileSync } from "node:fs";
import { Agent, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer } from "node:https";
import { createRequire } from "node:module";

/** The part of http-proxy that is used; the package brings no types. */
interface HttpProxy {
  createProxyServer(options: object): { web(request: IncomingMessage, response: ServerResponse): void };
}

const [port, socketPath, cert, key] = process.argv.slice(2) as [string, string, string, string];
const httpProxy = createRequire(import.meta.url)("http-proxy") as HttpProxy;
const proxy = httpProxy.createProxyServer({
  target: { socketPath },
  xfwd: true,
  agent: new Agent({ keepAlive: true }),
});
createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (request, response) => {
  response.once("finish", () =>
    process.stdout.write(
      `${new Date().toISOString()} ${request.method} ${request.url} ${response.statusCode}\n`,
    ),
  );
  proxy.web(request, response);
}).listen(Number(port), "127.0.0.1");
