/**
 * The app behind the proxies: nginx that returns 2 KB from memory, on a Unix socket, with keep-alive.
 *
 * It is not a Node server because the app must never be the slowest part; its CPU time is not counted.
 */
import type { ChildProcess } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { nginxArguments, nginxCommon } from "./nginx.ts";
import { startServer } from "./processes.ts";

export const BODY_BYTES = 2048;
/** A page as a template engine makes it: repetitive, but not only. */
const PAGE = Array.from(
  { length: 220 },
  (_, row) =>
    `<tr class="row${(row % 2) + 1}"><td><a href="/orders/${row * 7919}/">Order ${row * 7919}</a></td><td>${(row * 1.37).toFixed(2)} EUR</td><td>${(row * 2654435761).toString(36)}</td></tr>\n`,
).join("");
/** For clients that read slowly, bytes. */
export const LONG_BYTES = 1024 * 1024;

export function startUpstream(folder: string, socket: string): ChildProcess {
  const home = `${folder}/upstream`;
  mkdirSync(home);
  writeFileSync(`${home}/page.html`, PAGE);
  writeFileSync(`${home}/long.bin`, Buffer.alloc(LONG_BYTES, "paddock"));
  writeFileSync(
    `${home}/nginx.conf`,
    `${nginxCommon(home)}
http {
  access_log off;
  keepalive_requests 100000000;
  client_body_temp_path ${home}; proxy_temp_path ${home}; fastcgi_temp_path ${home};
  uwsgi_temp_path ${home}; scgi_temp_path ${home};
  server {
    listen unix:${socket};
    default_type text/html;
    root ${home};
    location = /page.html { }
    location = /long.bin { types { } default_type application/octet-stream; }
    location = /cached { add_header Cache-Control max-age=3600; return 200 "${"x".repeat(BODY_BYTES)}"; }
    location / { return 200 "${"x".repeat(BODY_BYTES)}"; }
  }
}
`,
  );
  return startServer("nginx", nginxArguments(home), { log: `${home}/out.log`, cwd: home });
}
