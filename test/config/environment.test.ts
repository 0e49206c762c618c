import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Configuration } from "../../src/config/configuration.ts";
import { findConfigurationFile, loadConfiguration } from "../../src/config/load.ts";
import { formatProblem } from "../../src/config/problem.ts";
import { configurationFolder, loadText, problemsOf } from "./load-text.ts";

const { folder, remove } = configurationFolder();
after(remove);

/** A working directory without a file in it, so that the environment is all there is. */
const empty = join(folder, "empty");
mkdirSync(empty);

function load(environment: NodeJS.ProcessEnv): Configuration {
  return loadConfiguration({ environment, workingDirectory: empty });
}

function linesOf(environment: NodeJS.ProcessEnv): string[] {
  return problemsOf(() => load(environment)).map(formatProblem);
}

const SITE = { PADDOCK_NAMES: "a.example", PADDOCK_UPSTREAM: "http://app:8000" };

void test("describes one site wholly by environment, as the sidecar runs", () => {
  const configuration = load({
    PADDOCK_NAMES: "Shop.example, www.shop.example",
    PADDOCK_UPSTREAM: "unix:/run/app/app.sock",
    PADDOCK_STATIC: `/static/=${folder}/static,/static/admin/=${folder}/static`,
    PADDOCK_EMAIL: "ops@shop.example",
    PADDOCK_ISSUER: "https://pebble:14000/dir",
    PADDOCK_TRUSTED_ROOTS: "../ca.pem",
    PADDOCK_STORAGE: "/data",
    PADDOCK_LISTEN_HTTP: "127.0.0.1:8080, [::1]:8080",
    PADDOCK_LISTEN_HTTPS: "fd:https",
    PADDOCK_ADMIN_LISTEN: "false",
    PADDOCK_ADMIN_SOCKET: "control.sock",
    PADDOCK_LOG_LEVEL: "debug",
    PADDOCK_LOG_ACCESS: "false",
    PADDOCK_TIMEOUTS_KEEP_ALIVE: "5m",
    PADDOCK_TLS_POLICY: "modern",
    PADDOCK_WORKERS: "3",
    PADDOCK_SHUTDOWN_TIMEOUT: "250ms",
    PADDOCK_HSTS: "false",
    PADDOCK_HEADERS: "{Referrer-Policy: 'same-origin, a=b', X-Powered-By: null}",
    PADDOCK_COOKIES: "{httpOnly: [sessionid]}",
    PADDOCK_CERTIFICATE: "local",
    PADDOCK_CANONICAL: "shop.example",
    PADDOCK_MAX_BODY: "1GB",
    PADDOCK_COMPRESS: "false",
  });
  const [site] = configuration.sites;
  assert.ok(site);
  assert.deepEqual(site.names, ["shop.example", "www.shop.example"]);
  assert.deepEqual(site.upstream?.to[0], { kind: "unix", path: "/run/app/app.sock" });
  assert.deepEqual(
    site.static.map(({ prefix }) => prefix),
    ["/static/admin/", "/static/"],
  );
  assert.equal(site.hsts, null);
  assert.deepEqual({ ...site.headers }, { "Referrer-Policy": "same-origin, a=b", "X-Powered-By": null });
  assert.deepEqual(site.cookies, { secure: true, httpOnly: ["sessionid"], sameSite: null });
  assert.deepEqual(site.certificate, { kind: "local" });
  assert.equal(site.canonical, "shop.example");
  assert.equal(site.maxBody, 1024 ** 3);
  assert.equal(site.compress, false);
  const { file, email, storage, workers, listen, admin, log, issuers, tls, timeouts, shutdownTimeout } =
    configuration;
  assert.deepEqual(
    { file, email, storage, workers, listen, admin, tls, shutdownTimeout },
    {
      file: null,
      email: "ops@shop.example",
      storage: "/data",
      workers: 3,
      listen: {
        http: [
          { host: "127.0.0.1", port: 8080 },
          { host: "::1", port: 8080 },
        ],
        https: [{ fdName: "https" }],
        proxyProtocol: [],
      },
      admin: { listen: null, socket: join(empty, "control.sock") },
      tls: { policy: "modern" },
      shutdownTimeout: 250,
    },
  );
  assert.deepEqual(log, { level: "debug", access: false, format: "json" });
  assert.equal(timeouts.keepAlive, 300_000);
  assert.deepEqual(issuers, [
    {
      kind: "acme",
      name: "https://pebble:14000/dir",
      directory: "https://pebble:14000/dir",
      profile: null,
      preferredChain: null,
      trustedRoots: join(folder, "ca.pem"),
      eab: null,
      staging: null,
    },
  ]);
});

void test("a variable wins over the key of the file, and an empty one is no variable", () => {
  const text =
    "storage: here\nemail: file@a.example\nsites: [{ names: [a.example], upstream: unix:run/app.sock }]\n";
  const configuration = loadText(folder, text, { PADDOCK_EMAIL: "env@a.example", PADDOCK_STORAGE: "" });
  assert.equal(configuration.email, "env@a.example");
  assert.equal(configuration.storage, join(folder, "here"), "relative to the file");
  assert.deepEqual(configuration.sites[0]?.upstream?.to[0], {
    kind: "unix",
    path: join(folder, "run/app.sock"),
  });
});

void test("[] turns a listener off", () => {
  assert.deepEqual(load({ ...SITE, PADDOCK_LISTEN_HTTP: "[]" }).listen.http, []);
});

void test("PADDOCK_ISSUER takes local", () => {
  assert.deepEqual(load({ ...SITE, PADDOCK_ISSUER: "local" }).issuers, [{ kind: "local" }]);
});

void test("sections of their own are YAML in their variable, with places inside it", () => {
  const sites = "[{names: [a.example], upstream: app}]";
  const configuration = load({
    PADDOCK_SITES: sites,
    PADDOCK_UPSTREAMS: "{app: {to: [unix:/x], responseTimeout: 2m}}",
  });
  assert.equal(configuration.sites[0]?.upstream?.name, "app");
  assert.equal(configuration.sites[0]?.upstream?.responseTimeout, 120_000);
  assert.deepEqual(linesOf({ PADDOCK_SITES: "[{names: [a.example], upstrem: unix:/x, static: {}}]" }), [
    '$PADDOCK_SITES:1:23: unknown key "upstrem"; did you mean "upstream"?',
  ]);
});

void test("errors name the variable and the column in it", () => {
  const cases: [NodeJS.ProcessEnv, RegExp][] = [
    [
      { ...SITE, PADDOCK_NAMES: "a.example, b_c" },
      /^\$PADDOCK_NAMES:1:12: names\[1\]: "b_c" is no host name$/,
    ],
    [
      { ...SITE, PADDOCK_LISTEN_HTTP: "127.0.0.1:80,x" },
      /^\$PADDOCK_LISTEN_HTTP:1:14: listen\.http\[1\]: "x" is no listen/,
    ],
    [
      { ...SITE, PADDOCK_LOG_ACCESS: "maybe" },
      /^\$PADDOCK_LOG_ACCESS:1:1: log\.access: must be true or false/,
    ],
    [{ ...SITE, PADDOCK_WORKERS: "-1" }, /^\$PADDOCK_WORKERS:1:1: workers: must be auto or a number/],
    [
      { ...SITE, PADDOCK_STATIC: "/static/=/nowhere" },
      /^\$PADDOCK_STATIC:1:10: the folder \/nowhere does not exist$/,
    ],
    [{ ...SITE, PADDOCK_STATIC: "/static/" }, /^\$PADDOCK_STATIC:1:1: static\[\/static\/\]: is empty$/],
    [{ ...SITE, PADDOCK_ISSUER: "letsencript" }, /^\$PADDOCK_ISSUER:1:1: .*did you mean "letsencrypt"\?$/],
    [
      { ...SITE, PADDOCK_TRUSTED_ROOTS: "/nowhere" },
      /^\$PADDOCK_TRUSTED_ROOTS:1:1: the file \/nowhere does not exist$/,
    ],
    [{ ...SITE, PADDOCK_UPSTREAM: "app" }, /^\$PADDOCK_UPSTREAM:1:1: there is no upstream "app"/],
    [
      { ...SITE, PADDOCK_CHALLENGES: "http-01,dns-01" },
      /^\$PADDOCK_CHALLENGES:1:1: challenges: dns-01 needs a program that changes the DNS; set dns\.hook/,
    ],
    [
      { ...SITE, PADDOCK_DNS: "{hook: /nowhere}" },
      /^\$PADDOCK_DNS:1:8: the program \/nowhere does not exist$/,
    ],
    [
      { ...SITE, PADDOCK_EMIAL: "a@b.example" },
      /^\$PADDOCK_EMIAL:1:1: unknown variable .*did you mean PADDOCK_EMAIL\?$/,
    ],
    [{ PADDOCK_UPSTREAM: "unix:/x" }, /^\$PADDOCK_UPSTREAM:1:1: names is missing; give it$/],
    [{ ...SITE, PADDOCK_HSTS: "{maxAge: 5}" }, /^\$PADDOCK_HSTS:1:10: hsts\.maxAge: "5" is no duration/],
    [{}, /^environment:1:1: there is no configuration: write paddock\.yaml, or set PADDOCK_NAMES/],
  ];
  for (const [environment, expected] of cases) {
    const lines = linesOf(environment);
    assert.equal(lines.length, 1, lines.join("\n"));
    assert.match(lines[0] ?? "", expected);
  }
});

void test("leaves the variables alone that Kubernetes sets for a service called paddock", () => {
  load({
    ...SITE,
    PADDOCK_PORT: "tcp://10.0.0.1:80",
    PADDOCK_SERVICE_HOST: "10.0.0.1",
    PADDOCK_SERVICE_PORT: "80",
  });
});

void test("refuses a site in the file and another one in the environment", () => {
  const text = "sites: [{ names: [b.example], upstream: unix:/x }]\n";
  const [problem] = problemsOf(() => loadText(folder, text, SITE));
  assert.match(
    problem?.message ?? "",
    /the environment describes a site, and so does .*paddock\.yaml; unset PADDOCK_NAMES/,
  );
});

void test("finds the file: --config, $PADDOCK_CONFIG, ./paddock.yaml", () => {
  writeFileSync(join(folder, "paddock.yaml"), "");
  const find = (file: string | undefined, environment: NodeJS.ProcessEnv, workingDirectory = folder) =>
    findConfigurationFile({ ...(file === undefined ? {} : { file }), environment, workingDirectory });
  assert.equal(find("x.yaml", { PADDOCK_CONFIG: "/y.yaml" }), join(folder, "x.yaml"));
  assert.equal(find(undefined, { PADDOCK_CONFIG: "/y.yaml" }), "/y.yaml");
  assert.equal(find(undefined, {}), join(folder, "paddock.yaml"));
  const lines = problemsOf(() =>
    loadConfiguration({ file: "x.yaml", environment: {}, workingDirectory: empty }),
  );
  assert.deepEqual(lines.map(formatProblem), [
    `${empty}/x.yaml:1:1: there is no such file; write one, or name it with --config`,
  ]);
});
