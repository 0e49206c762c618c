# Paddock as a sidecar. One site needs no file:
#   docker run -p 80:80 -p 443:443 -v paddock:/var/lib/paddock \
#     -e PADDOCK_NAMES=yourdomain.com -e PADDOCK_UPSTREAM=http://app:8000 paddock
# More than one: mount a file at /etc/paddock/paddock.yaml.

FROM node:26.10.0-bookworm-slim AS builder
WORKDIR /paddock
# Dependencies first: they change more seldom than the source, and this layer is kept until they do.
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build
RUN npm prune --omit=dev

# Debian and not node: the runtime is one file, and neither npm nor corepack has business in production.
FROM debian:12.11-slim
RUN groupadd --gid 10001 paddock \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/paddock --shell /usr/sbin/nologin paddock \
 && install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/paddock /run/paddock
COPY --from=builder /usr/local/bin/node /usr/local/bin/node
COPY --from=builder /paddock/package.json /opt/paddock/package.json
COPY --from=builder /paddock/node_modules /opt/paddock/node_modules
COPY --from=builder /paddock/dist /opt/paddock/dist
COPY bin /opt/paddock/bin
COPY LICENSE /opt/paddock/LICENSE
ENV NODE_ENV=production
WORKDIR /var/lib/paddock
USER 10001:10001
# Docker lets every user of a container bind low ports. Where yours does not (an old engine, some Kubernetes),
# set PADDOCK_LISTEN_HTTP and PADDOCK_LISTEN_HTTPS to high ones and publish those.
EXPOSE 80 443
VOLUME /var/lib/paddock
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["node", "-e", "fetch(`http://${process.env.PADDOCK_ADMIN_LISTEN || '127.0.0.1:9145'}/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["/opt/paddock/bin/paddock"]
CMD ["run"]
