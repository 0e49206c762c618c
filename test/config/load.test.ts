import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import * as fc from "fast-check";
import { loadConfiguration } from "../../src/config/load.ts";
import { configurationFolder, loadText, problemsOf } from "./load-text.ts";

const { folder, remove } = configurationFolder();
after(remove);

const HASH =
  "$argon2id$v=19$m=19456,t=2,p=1$IOdfH7ukpd7GZXlg/VTsQw$jQbhZlzNk2X5ps3zV3GlDdYX0mRi8ed6ILWzi5mzPn4";
const repository = join(import.meta.dirname, "../..");

/** No rule of protection. */
const NOTHING = {
  deny: null,
  allow: null,
  rateLimit: null,
  methods: null,
  basicAuth: null,
  forwardAuth: null,
};

const SIX_LINES = `sites:
  - names: [yourdomain.com, www.yourdomain.com]
    upstream: unix:/home/youruser/yourproject/yourproject.sock
    static:
      /static/: static
`;

void test("six lines are a whole configuration, with defaults for the rest", () => {
  const { workers, file, ...rest } = loadText(folder, SIX_LINES);
  assert.ok(workers >= 1);
  assert.equal(file, join(folder, "paddock.yaml"));
  assert.deepEqual(rest, {
    email: null,
    storage: "/var/lib/paddock",
    listen: { http: [{ host: "::", port: 80 }], https: [{ host: "::", port: 443 }], proxyProtocol: [] },
    trustedProxies: [],
    admin: { listen: { host: "127.0.0.1", port: 9145 }, socket: "/run/paddock/control.sock" },
    log: { level: "info", access: true, format: "json" },
    issuers: [
      {
        kind: "acme",
        name: "letsencrypt",
        directory: "https://acme-v02.api.letsencrypt.org/directory",
        profile: null,
        preferredChain: null,
        trustedRoots: null,
        eab: null,
        staging: {
          name: "letsencrypt-staging",
          directory: "https://acme-staging-v02.api.letsencrypt.org/directory",
          eab: null,
        },
      },
    ],
    rehearse: 7 * 86_400_000,
    challenges: ["http-01", "tls-alpn-01"],
    dns: null,
    localCa: { acme: null },
    tls: { policy: "intermediate" },
    notify: { webhook: null, mail: null },
    timeouts: { requestHead: 10_000, keepAlive: 75_000, body: 20_000, write: 60_000 },
    limits: { connectionsPerAddress: null },
    shutdownTimeout: 30_000,
    sites: [
      {
        names: ["yourdomain.com", "www.yourdomain.com"],
        upstream: {
          name: "unix:/home/youruser/yourproject/yourproject.sock",
          to: [{ kind: "unix", path: "/home/youruser/yourproject/yourproject.sock" }],
          connectTimeout: 5000,
          responseTimeout: 60_000,
          maxConcurrent: null,
          queueLength: 1000,
          queueTimeout: 30_000,
          restartGrace: 30_000,
          healthCheck: null,
          proxyProtocol: null,
        },
        static: [{ prefix: "/static/", folder: join(folder, "static") }],
        internal: [],
        errors: null,
        certificate: { kind: "auto" },
        hsts: { maxAge: 31_536_000_000, includeSubDomains: false, preload: false },
        headers: {},
        cookies: null,
        canonical: null,
        maxBody: 100 * 1024 ** 2,
        compress: true,
        buffering: { request: true, response: true },
        serverTiming: false,
        onDemand: null,
        cache: null,
        protection: NOTHING,
        paths: [],
      },
    ],
  });
});

void test("a path says what differs, and the longest comes first", () => {
  const { sites } = loadText(
    folder,
    `sites:
  - names: [a.example]
    upstream: unix:/x
    buffering: { response: false }
    cache: { memory: 64MB }
    paths:
      /up/: { buffering: { request: false }, cache: false }
      /api/: { rateLimit: false }
      /up/load/: { buffering: { request: true, response: true } }
`,
  );
  assert.deepEqual(sites[0]?.cache, { memory: 64 * 1024 * 1024 });
  const buffered = (request: boolean, response: boolean): object => ({ request, response });
  assert.deepEqual(sites[0].paths, [
    { prefix: "/up/load/", buffering: buffered(true, true), cached: false, protection: NOTHING },
    { prefix: "/api/", buffering: buffered(true, false), cached: true, protection: NOTHING },
    { prefix: "/up/", buffering: buffered(false, false), cached: false, protection: NOTHING },
  ]);
});

void test("a path inherits what it leaves out from the next shorter prefix, and from the site at last", () => {
  writeFileSync(join(folder, "staff"), `# staff\n\nann:${HASH}\nbo:${HASH}\n`);
  const { sites } = loadText(
    folder,
    `sites:
  - names: [a.example]
    upstream: unix:/x
    rateLimit: { requests: 100/m }
    methods: [GET, POST]
    paths:
      /admin/: { allow: [10.0.0.0/8, all], basicAuth: { usersFile: staff } }
      /admin/api/: { rateLimit: { requests: 5/s, burst: 0, key: "header:X-Key" }, basicAuth: false }
      /admin/api/v2/: { deny: [::1] }
      /ask/: { forwardAuth: { to: "http://127.0.0.1:4180/verify", headers: [X-Auth-User] }, rateLimit: false }
      /asks/: { forwardAuth: { to: unix:a.sock, path: /v } }
`,
  );
  const [site] = sites;
  const at = (prefix: string): unknown => site?.paths.find((path) => path.prefix === prefix)?.protection;
  const rateLimit = {
    from: "/",
    value: { requests: 100, per: 60_000, written: "100/m", burst: 100, header: null },
  };
  const methods = { from: "/", value: ["GET", "HEAD", "POST"] };
  const allow = {
    from: "/admin/",
    value: [
      { address: "10.0.0.0", prefix: 8, family: "ipv4" },
      { address: "0.0.0.0", prefix: 0, family: "ipv4" },
      { address: "::", prefix: 0, family: "ipv6" },
    ],
  };
  const users = [
    ["ann", HASH],
    ["bo", HASH],
  ];
  assert.deepEqual(site?.protection, { ...NOTHING, rateLimit, methods });
  const admin = { ...NOTHING, allow, rateLimit, methods };
  const basicAuth = { from: "/admin/", value: { realm: "restricted", users } };
  assert.deepEqual(at("/admin/"), { ...admin, basicAuth });
  const own = { requests: 5, per: 1000, written: "5/s", burst: 0, header: "x-key" };
  const api = { ...admin, rateLimit: { from: "/admin/api/", value: own } };
  assert.deepEqual(at("/admin/api/"), api);
  const deny = { from: "/admin/api/v2/", value: [{ address: "::1", prefix: 128, family: "ipv6" }] };
  assert.deepEqual(at("/admin/api/v2/"), { ...api, deny });
  const tcp = { kind: "tcp", host: "127.0.0.1", port: 4180 };
  const asked = { address: tcp, path: "/verify", headers: ["x-auth-user"], timeout: 5000 };
  assert.deepEqual(at("/ask/"), { ...NOTHING, methods, forwardAuth: { from: "/ask/", value: asked } });
  const other = {
    address: { kind: "unix", path: join(folder, "a.sock") },
    path: "/v",
    headers: [],
    timeout: 5000,
  };
  assert.deepEqual(at("/asks/"), {
    ...NOTHING,
    rateLimit,
    methods,
    forwardAuth: { from: "/asks/", value: other },
  });
});

void test("the result is frozen to its leaves", () => {
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    assert.ok(Object.isFrozen(value));
    for (const inner of Object.values(value)) visit(inner);
  };
  visit(loadText(folder, SIX_LINES));
});

void test("names become lower case and A-labels; addresses and wildcards are names too", () => {
  const names = "[Bücher.example, '*.Test', 127.0.0.1, '2001:DB8::0:1', '[::1]', '*.dev.localhost']";
  const issuers = "issuers: [{ acme: letsencrypt, profile: shortlived }]";
  const { sites } = loadText(
    folder,
    `${issuers}\nsites: [{ names: ${names}, upstream: 'http://[::1]:8000' }]`,
  );
  assert.deepEqual(sites[0]?.names, [
    "xn--bcher-kva.example",
    "*.test",
    "127.0.0.1",
    "2001:db8::1",
    "::1",
    "*.dev.localhost",
  ]);
  assert.deepEqual(sites[0]?.upstream?.to[0], { kind: "tcp", host: "::1", port: 8000 });
});

void test("anchors and aliases may be used", () => {
  const text = `sites:
  - { names: [a.example], upstream: &app unix:/run/app.sock }
  - { names: [b.example], upstream: *app, headers: { X-A.B: "1" } }
`;
  const { sites } = loadText(folder, text);
  assert.equal(sites[1]?.upstream?.name, "unix:/run/app.sock");
  assert.deepEqual(sites[1]?.headers, { "X-A.B": "1" });
});

void test("the pages of errors are read, and what is wrong with one is said at the key", () => {
  const pages = join(folder, "errors");
  mkdirSync(pages);
  const text = "sites: [{ names: [a.example], upstream: unix:/run/app.sock, errors: errors }]\n";
  const problems = (): string[] => problemsOf(() => loadText(folder, text)).map(({ message }) => message);
  writeFileSync(join(pages, "404.html"), "ü");
  writeFileSync(join(pages, "maintenance.html"), "<p>");
  writeFileSync(join(pages, "logo.svg"), "not a page");
  assert.deepEqual(loadText(folder, text).sites[0]?.errors, { "404": "ü", maintenance: "<p>" });
  for (const [name, content, expected] of [
    ["50x.html", "", /50x\.html has no name of an error page; name it 404\.html, 4xx\.html/],
    ["200.html", "", /200\.html has no name of an error page/],
    ["500.html", Buffer.from([0xff]), /500\.html is not UTF-8$/],
    ["501.html", "x".repeat(256 * 1024 + 1), /501\.html has 262145 bytes; 256 KB is the most$/],
  ] as const) {
    writeFileSync(join(pages, name), content);
    assert.match(problems().join("\n"), expected);
    assert.equal(problems().length, 1);
    rmSync(join(pages, name));
  }
  for (const name of ["500", "501", "502", "503", "504"])
    writeFileSync(join(pages, `${name}.html`), "x".repeat(250_000));
  assert.match(problems().join("\n"), /have \d+ bytes together; 1 MB is the most$/);
});

void test("check accepts every sample in config/ once its folders are there", () => {
  const samples = readdirSync(join(repository, "config")).filter((name) => name.endsWith(".yaml"));
  assert.ok(samples.includes("paddock.example.yaml") && samples.includes("paddock.minimal.yaml"));
  for (const name of samples) {
    // The samples name folders of a machine that is not this one.
    const text = readFileSync(join(repository, "config", name), "utf8").replace(
      /^( +(\/[a-z]+\/): )\/.*$/gm,
      (_, key: string, prefix: string) => {
        mkdirSync(join(folder, prefix), { recursive: true });
        return `${key}${folder}${prefix}`;
      },
    );
    const pages = join(folder, "pages");
    mkdirSync(pages, { recursive: true });
    writeFileSync(join(pages, "502.html"), "<p>");
    const present = text.replace(/errors: \/\S+/, `errors: ${pages}`).replace(/hook: \/\S+/, "hook: hook");
    assert.doesNotThrow(() => loadText(folder, present), name);
  }
  const minimal = readFileSync(join(repository, "config/paddock.minimal.yaml"), "utf8");
  assert.equal(minimal.trimEnd().split("\n").length, 6);
});

void test("the staging directory of a CA is known, written, written with an account, or none", () => {
  const stagingOf = (text: string) => {
    const sites = "sites: [{ names: [a.example], upstream: 'http://[::1]:8000' }]";
    const [issuer] = loadText(folder, `issuers: [${text}]\n${sites}`).issuers;
    assert.ok(issuer?.kind === "acme");
    return issuer.staging;
  };
  assert.equal(stagingOf("{ acme: letsencrypt }")?.name, "letsencrypt-staging");
  for (const none of [
    "{ acme: letsencrypt, staging: false }",
    "{ acme: letsencrypt-staging }",
    "{ acme: zerossl }",
    "{ acme: google }",
    "{ acme: 'https://ca.example/dir' }",
  ])
    assert.equal(stagingOf(none), null, none);
  const url = "https://ca.example/staging";
  assert.deepEqual(stagingOf(`{ acme: zerossl, staging: '${url}' }`), {
    name: url,
    directory: url,
    eab: null,
  });
  const eab = { keyId: "k", hmacKey: "c2VjcmV0" };
  assert.deepEqual(stagingOf("{ acme: google, staging: { eab: { keyId: k, hmacKey: c2VjcmV0 } } }"), {
    name: "google-staging",
    directory: "https://dv.acme-v02.test-api.pki.goog/directory",
    eab,
  });
});

/** YAML that is likely to reach deep: the real keys with any values. */
const KEYS = [
  "sites",
  "names",
  "upstream",
  "static",
  "hsts",
  "headers",
  "issuers",
  "acme",
  "listen",
  "http",
  "__proto__",
];
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { depthSize: "small" },
    fc.string(),
    fc.constantFrom<unknown>(
      "unix:/x",
      "[::]:80",
      "a.example",
      "10s",
      "*a",
      null,
      true,
      0,
      -1,
      1e300,
      "\0",
      "fd:x",
    ),
    fc.array(tie("tree"), { maxLength: 4 }),
    fc.dictionary(fc.oneof(fc.constantFrom(...KEYS), fc.string()), tie("tree"), { maxKeys: 5 }),
  ),
}));

void test("no text whatever throws anything but a ConfigurationError", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        tree.map((value) => JSON.stringify(value)),
        fc.string({ unit: "grapheme", maxLength: 200 }),
      ),
      (text) => {
        problemsOf(() => loadText(folder, text ?? ""));
      },
    ),
    { numRuns: 500 },
  );
  for (const text of [
    "[".repeat(100_000),
    "a: &a [*a]",
    `a: &a [x,x,x,x,x,x,x,x,x]\n${"bcdefghij".replace(/./g, (c) => `${c}: &${c} [${`*${String.fromCharCode(c.charCodeAt(0) - 1)},`.repeat(9)}]\n`)}`,
    "? [a, b]\n: c",
    "%YAML 1.1\n---\na: yes",
    "\ufeffsites: []",
    "a: !!binary aGVsbG8=",
    "<<: { a: 1 }",
    "x".repeat(2_000_000),
  ])
    assert.notEqual(problemsOf(() => loadText(folder, text)).length, 0, text.slice(0, 40));
});

void test("no bytes and no variable throw anything but a ConfigurationError", () => {
  const file = join(folder, "paddock.yaml");
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), tree, (bytes, value) => {
      writeFileSync(file, bytes);
      const text = (typeof value === "string" ? value : JSON.stringify(value)) ?? "";
      for (const name of [
        "PADDOCK_NAMES",
        "PADDOCK_SITES",
        "PADDOCK_HSTS",
        "PADDOCK_HEADERS",
        "PADDOCK_STATIC",
        "PADDOCK_WORKERS",
      ])
        problemsOf(() =>
          loadConfiguration({ file, environment: { [name]: text }, workingDirectory: folder }),
        );
    }),
    { numRuns: 200 },
  );
});
