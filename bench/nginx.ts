/** What every nginx of the benchmark shares. */

/** `user root` only for root: otherwise the worker could not enter the temporary folder. */
export function nginxCommon(home: string): string {
  return `${process.getuid?.() === 0 ? "user root;" : ""}
daemon off;
worker_processes 1;
pid ${home}/nginx.pid;
error_log ${home}/error.log warn;
events { worker_connections 4096; }`;
}

export function nginxArguments(home: string): string[] {
  return ["-e", `${home}/error.log`, "-p", home, "-c", `${home}/nginx.conf`];
}

/** The gate as the usual tutorial has it; `keepAlive` adds what few tutorials do. */
export function nginxGate(options: {
  home: string;
  port: number;
  upstream: string;
  cert: string;
  key: string;
  statics: string;
  keepAlive: boolean;
  cache: boolean;
}): string {
  const { home, port, upstream, cert, key, statics, keepAlive, cache } = options;
  return `${nginxCommon(home)}
http {
  include /etc/nginx/mime.types;
  sendfile on;
  gzip on;
  gzip_proxied any;
  tcp_nopush on;
  access_log ${home}/access.log;
  keepalive_requests 100000000;
  client_body_temp_path ${home}; proxy_temp_path ${home}; fastcgi_temp_path ${home};
  uwsgi_temp_path ${home}; scgi_temp_path ${home};
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_session_cache shared:le_nginx_SSL:10m;
  ${cache ? `proxy_cache_path ${home}/cache keys_zone=pages:10m;` : ""}
  ${keepAlive ? `upstream app { server unix:${upstream}; keepalive 64; keepalive_requests 100000000; }` : ""}
  server {
    listen 127.0.0.1:${port} ssl http2;
    server_name localhost app.test;
    ssl_certificate ${cert};
    ssl_certificate_key ${key};
    location /static/ { alias ${statics}/; }
    location /ws/ {
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
      proxy_pass http://unix:${upstream};
    }
    location / {
      ${cache ? "proxy_cache pages;" : ""}
      proxy_set_header Host $http_host;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      ${keepAlive ? 'proxy_http_version 1.1; proxy_set_header Connection "";' : ""}
      proxy_pass http://${keepAlive ? "app" : `unix:${upstream}`};
    }
  }
}
`;
}
