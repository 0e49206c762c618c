import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { configurationFolder, loadText, problemsOf } from "./load-text.ts";

const { folder, remove } = configurationFolder();
after(remove);

const SITE = "sites: [{ names: [a.example], upstream: unix:/run/app.sock }]\n";
const site = (keys: string): string =>
  `sites:\n  - names: [a.example]\n    upstream: unix:/run/app.sock\n    ${keys}\n`;
const issuer = (text: string): string => `${SITE}issuers:\n  - ${text}\n`;

/**
 * What is written, with « at the place that the message must point at, and the message without its place. Each
 * case has exactly one mistake and must get exactly one message.
 */
const CASES: readonly (readonly [string, string | RegExp])[] = [
  // Unknown keys and the nearest one
  [`${SITE}«emial: a@b.example`, 'unknown key "emial"; did you mean "email"?'],
  [`${SITE}«storge: /x`, 'unknown key "storge"; did you mean "storage"?'],
  [`${SITE}«Storage: /x`, 'unknown key "Storage"; did you mean "storage"?'],
  [`${SITE}«site: []`, 'unknown key "site"; did you mean "sites"?'],
  [`${SITE}listen: { «htttp: [] }`, 'unknown key "htttp"; did you mean "http"?'],
  [`${SITE}log:\n  «levle: info`, 'unknown key "levle"; did you mean "level"?'],
  [`${SITE}«nothing-like-it: 1`, 'unknown key "nothing-like-it"'],
  [`${SITE}«requestHead: 5s`, 'unknown key "requestHead"; it belongs under timeouts'],
  [site("«upstrem: unix:/x"), 'unknown key "upstrem"; did you mean "upstream"?'],
  ["sites: [{ names: [a.example], «upstrem: unix:/x }]", 'unknown key "upstrem"; did you mean "upstream"?'],
  ["sites: [{ «name: [a.example], upstream: unix:/x }]", 'unknown key "name"; did you mean "names"?'],
  [site("«responseTimeout: 5s"), 'unknown key "responseTimeout"; it belongs under upstreams.NAME'],
  [site("hsts: { «maxage: 1y }"), 'unknown key "maxage"; did you mean "maxAge"?'],
  [issuer("{ acme: google, «trustedRoot: x }"), 'unknown key "trustedRoot"; did you mean "trustedRoots"?'],
  [`${SITE}«__proto__: { a: 1 }`, 'unknown key "__proto__"'],
  [`${SITE}«constructor: { prototype: 1 }`, 'unknown key "constructor"'],
  // YAML itself
  [`${SITE}email: a@b.example\n«email: c@d.example`, 'the key "email" is given twice'],
  ["sites:\n  - names: [a.example\n    «upstream: unix:/x\n", /^YAML: /],
  [`${SITE}storage: "/x\n«`, /^YAML: Missing closing "quote/],
  [`${SITE}storage: «*nowhere`, "the alias *nowhere has no anchor before it"],
  [`${SITE}storage: «!secret /x`, /^YAML: Unresolved tag/],
  [`${SITE}---\n«${SITE}`.replace("---\n«", "«---\n"), /^YAML: .*multiple documents/],
  ["«- a\n- b\n", "the configuration must be a mapping of keys to values, not a list"],
  ["«hello", 'the configuration must be a mapping of keys to values, not "hello"'],
  // Shapes
  [`${SITE}storage: «[/x]`, "storage must be a single value, not a list"],
  [`${SITE}storage: «{ path: /x }`, "storage must be a single value, not a mapping"],
  [`${SITE}storage: «5`, "storage: must be text, not 5"],
  [`${SITE}«storage:`, "storage has no value; give it one, or remove the key"],
  [`${SITE}listen: «8443`, "listen must be a mapping of keys to values, not 8443"],
  [`${SITE}listen: { http: «"[::]:80" }`, 'listen.http must be a list, not "[::]:80"'],
  ["sites: «{ names: [a.example] }", "sites must be a list, not a mapping"],
  ["sites: [«a.example]", 'sites[0] must be a mapping of keys to values, not "a.example"'],
  [`${SITE}upstreams: «[]`, "upstreams must be a mapping of names, not a list"],
  [`${SITE}issuers: «letsencrypt`, 'issuers must be a list, not "letsencrypt"'],
  [site("static: «/srv/static"), 'sites[0].static must be a mapping, not "/srv/static"'],
  // Scalars
  [`${SITE}email: «nobody`, 'email: "nobody" is no e-mail address'],
  [`${SITE}storage: «""`, "storage: is empty"],
  [`${SITE}storage: «"/a\\0b"`, "storage: has a control character in it"],
  [`${SITE}workers: «0`, "workers: must be auto or a number from 1 to 512, not 0"],
  [`${SITE}workers: «1.5`, "workers: must be auto or a number from 1 to 512, not 1.5"],
  [`${SITE}workers: «many`, 'workers: must be auto or a number from 1 to 512, not "many"'],
  [`${SITE}log: { access: «yes }`, 'log.access: must be true or false, not "yes"'],
  [
    `${SITE}log: { level: «inof }`,
    /^log\.level: must be one of trace, .* not "inof"; did you mean "info"\?$/,
  ],
  [`${SITE}log: { format: «xml }`, 'log.format: must be one of json, pretty, not "xml"'],
  [`${SITE}tls: { policy: «old }`, 'tls.policy: must be one of intermediate, modern, not "old"'],
  [`${SITE}shutdownTimeout: «30`, /^shutdownTimeout: "30" is no duration; write 30s, or another unit/],
  [`${SITE}timeouts: { body: «20 s }`, /^timeouts\.body: "20 s" is no duration; write for example 10s/],
  [`${SITE}timeouts: { keepAlive: «-5s }`, /^timeouts\.keepAlive: "-5s" is no duration/],
  [`${SITE}timeouts: { write: «500y }`, /^timeouts\.write: "500y" is no duration/],
  [site("maxBody: «100"), /^sites\[0\]\.maxBody: "100" is no size; write 100MB, or another unit/],
  [site("maxBody: «100MiB"), /^sites\[0\]\.maxBody: "100MiB" is no size; write for example 16KB/],
  // The embedded CA
  [`${SITE}localCA: { «acm: true }`, 'unknown key "acm"; did you mean "acme"?'],
  [`${SITE}«localCa: { acme: true }`, 'unknown key "localCa"; did you mean "localCA"?'],
  [`${SITE}localCA: «true`, "localCA must be a mapping of keys to values, not true"],
  [`${SITE}localCA: { acme: «yes }`, 'localCA.acme: must be true or false, not "yes"'],
  [`${SITE}localCA: { acme: { «name: [a.test] } }`, 'unknown key "name"; did you mean "names"?'],
  [`${SITE}localCA: { acme: { names: «[] } }`, "localCA.acme.names is empty; nothing would be certified"],
  [
    `${SITE}localCA: { acme: { names: [«"*.com"] } }`,
    'localCA.acme.names[0]: "*.com" would match a whole top-level domain',
  ],
  [
    `${SITE}localCA: { acme: { hosts: [«"*.internal"] } }`,
    "localCA.acme.hosts[0]: a machine is called by one name, not by *.internal",
  ],
  [
    `${SITE}localCA: { acme: { listen: «fd:acme } }`,
    'localCA.acme.listen: "fd:acme": a socket of systemd cannot be handed on here; write ADDRESS:PORT',
  ],
  [
    `${SITE}localCA: { acme: { listen: «"[::]:443" } }`,
    "localCA.acme.listen: [::]:443 is taken by another listener; choose another port",
  ],
  [
    `${SITE}localCA: { acme: { httpPort: «70000 } }`,
    "localCA.acme.httpPort: must be a port from 1 to 65535, not 70000",
  ],
  [
    `${SITE}localCA: { acme: { clients: [«everybody] } }`,
    /^localCA\.acme\.clients\[0\]: "everybody" is no network/,
  ],
  // Who is told
  [`${SITE}notify: { «webook: https://a.example }`, 'unknown key "webook"; did you mean "webhook"?'],
  [
    `${SITE}notify: { mail: { to: [a@b.example], «form: a@b.example } }`,
    'unknown key "form"; did you mean "from"?',
  ],
  [
    `${SITE}notify: { webhook: «ftp://secret.example/token }`,
    "notify.webhook: must be an http or https URL, as the service that takes the message showed it",
  ],
  [
    `${SITE}notify: { webhook: «"https://user:secret@a.example/" }`,
    "notify.webhook: must be a URL without a user name, a password and a fragment",
  ],
  [`${SITE}notify: { mail: { to: [«nobody] } }`, 'notify.mail.to[0]: "nobody" is no e-mail address'],
  [
    `${SITE}notify: { mail: { from: «nobody, to: [a@b.example] } }`,
    'notify.mail.from: "nobody" is no e-mail address',
  ],
  [`${SITE}notify: { mail: «{ from: a@b.example } }`, "mail has no recipient; give to"],
  [`${SITE}notify: { mail: { to: «[] } }`, "mail has no recipient; give to"],
  [
    `${SITE}notify: { mail: { command: [«sendmail, -t], to: [a@b.example] } }`,
    '"sendmail" is no absolute path; no shell looks for the program',
  ],
  [
    `${SITE}notify: { mail: { command: «[], to: [a@b.example] } }`,
    "command is empty; write for example [/usr/sbin/sendmail, -t, -i]",
  ],
  // Addresses
  [
    `${SITE}listen: { http: [«localhost:80] }`,
    "listen.http[0]: write 127.0.0.1:80 or [::1]:80 in place of localhost",
  ],
  [
    `${SITE}listen: { http: ["[::]:80", «"80"] }`,
    /^listen\.http\[1\]: "80" is no listen address; write ADDRESS:PORT/,
  ],
  [`${SITE}listen: { http: [«80] }`, "listen.http[0]: must be text, not 80"],
  [
    `${SITE}listen: { https: [«"[::]:99999"] }`,
    "listen.https[0]: port 99999 is out of range; ports end at 65535",
  ],
  [`${SITE}listen: { https: [«"[::x]:1"] }`, 'listen.https[0]: "::x" is no IPv6 address'],
  [`${SITE}listen: { https: [«www.a.example:1] }`, /^listen\.https\[0\]: "www\.a\.example" is no IP address/],
  [`${SITE}listen: { https: [«"fd:"] }`, /^listen\.https\[0\]: "fd:" names no socket/],
  [
    `${SITE}listen: { http: ["[::]:443"], https: [«"[::]:443"] }`,
    "listen.https: [::]:443 is taken by listen.http; choose another port",
  ],
  [
    `${SITE}admin: { listen: «"[::]:80" }`,
    "admin.listen: [::]:80 is taken by listen.http; choose another port",
  ],
  [
    `${SITE}listen: { http: [], https: «[] }`,
    "listen.http and listen.https are both empty; nothing would be served",
  ],
  // Upstreams
  [
    "sites: [{ names: [a.example], upstream: «/run/a.sock }]",
    'sites[0].upstream: a socket is written with unix: in front; did you mean "unix:/run/a.sock"?',
  ],
  [
    "sites: [{ names: [a.example], upstream: «127.0.0.1:8000 }]",
    /; did you mean "http:\/\/127\.0\.0\.1:8000"\?$/,
  ],
  [
    "sites: [{ names: [a.example], upstream: «https://b.example:1 }]",
    /https to the app is not available in this version/,
  ],
  [
    "sites: [{ names: [a.example], upstream: «http://b.example }]",
    /^sites\[0\]\.upstream: the port is missing/,
  ],
  [
    "sites: [{ names: [a.example], upstream: «http://b.example:8000/x }]",
    'sites[0].upstream: an upstream has no path; remove "/x"',
  ],
  ["sites: [{ names: [a.example], upstream: «http://b.example:0 }]", /port 0 is out of range/],
  [`sites: [{ names: [a.example], upstream: «unix:/${"x".repeat(120)} }]`, /may have at most 107 bytes$/],
  [
    "upstreams: { app: { to: [unix:/x] } }\nsites: [{ names: [a.example], upstream: «ap }]",
    'there is no upstream "ap"; did you mean "app"?',
  ],
  ["sites: [{ names: [a.example], upstream: «app }]", /^there is no upstream "app"; write unix:PATH/],
  [
    "sites: [{ names: [a.example], upstream: app }]\nupstreams: { app: «{ responseTimeout: 5s } }",
    "upstreams.app.to is missing; give it",
  ],
  [
    `${SITE}upstreams: { app: { to: [unix:/x, «"unix:"] } }`,
    "upstreams.app.to[1]: the path of the socket is missing after unix:",
  ],
  [
    `${SITE}upstreams: { app: { to: [unix:/x], queueLength: «many } }`,
    'upstreams.app.queueLength: must be a whole number up to 1000000, not "many"',
  ],
  [
    `${SITE}upstreams: { app: { to: [unix:/x], healthCheck: «{ interval: 5s } } }`,
    "upstreams.app.healthCheck.path is missing; give it",
  ],
  [
    `${SITE}upstreams: { app: { to: [unix:/x], healthCheck: { path: «healthz } } }`,
    'upstreams.app.healthCheck.path: "healthz" is no path; write for example /healthz',
  ],
  [
    `${SITE}listen: { proxyProtocol: [«10.0.0.0/33] }`,
    'listen.proxyProtocol[0]: "10.0.0.0/33": the prefix of an ipv4 network ends at 32',
  ],
  [
    `${SITE}trustedProxies: [«balancer]`,
    'trustedProxies[0]: "balancer" is no network; write 10.0.0.0/8, 2001:db8::/32, an address, or all',
  ],
  [
    `${SITE}upstreams: { app: { to: [unix:/x], proxyProtocol: «v3 } }`,
    'upstreams.app.proxyProtocol: must be true, false, v1 or v2, not "v3"',
  ],
  [
    "sites: [{ names: [a.example], upstream: unix:/x, paths: { «/up: { buffering: { request: false } } } }]",
    'paths: the prefix "/up" must end with a slash: "/up/"',
  ],
  [`${SITE}upstreams: { app: { to: «[] } }`, "upstreams.app.to is empty; give the app's address"],
  [
    `${SITE}upstreams: { «a/b: { to: [unix:/x] } }`,
    'upstreams: "a/b" is no name; use letters, digits, - and _',
  ],
  // Names
  ["«{}", "there are no sites; add one with names and upstream"],
  ["sites: «[]", "there are no sites; add one with names and upstream"],
  ["sites: [«{ upstream: unix:/x }]", "sites[0].names is missing; give it"],
  ["sites: [{ names: «[], upstream: unix:/x }]", "names is empty; give the site at least one name"],
  ["sites: [«{ names: [a.example] }]", "the site has neither upstream nor static; there is nothing to serve"],
  [
    "sites: [{ names: [«https://a.example/], upstream: unix:/x }]",
    'sites[0].names[0]: "https://a.example/" is a URL; write the name alone: a.example',
  ],
  [
    "sites: [{ names: [«'a.example:443'], upstream: unix:/x }]",
    'sites[0].names[0]: "a.example:443" has a port; ports belong under listen',
  ],
  [
    "sites: [{ names: [«a_b.example], upstream: unix:/x }]",
    'sites[0].names[0]: "a_b.example" is no host name',
  ],
  ["sites: [{ names: [«a..example], upstream: unix:/x }]", 'sites[0].names[0]: "a..example" is no host name'],
  [
    "sites: [{ names: [«a.example.], upstream: unix:/x }]",
    'sites[0].names[0]: "a.example." ends in a dot; write it without',
  ],
  [
    "sites: [{ names: [«'*.*.example'], upstream: unix:/x }]",
    /^sites\[0\]\.names\[0\]: "\*\.\*\.example": a wildcard stands for one label/,
  ],
  [
    "sites: [{ names: [«'*.a.example'], upstream: unix:/x }]",
    /^\*\.a\.example: a CA certifies a wildcard by dns-01 only, and challenges has http-01, tls-alpn-01; set dns\.hook/,
  ],
  ["sites: [{ names: [«'*.com'], upstream: unix:/x }]", /"\*\.com" would match a whole top-level domain/],
  ["sites: [{ names: [«1.2.3], upstream: unix:/x }]", 'sites[0].names[0]: "1.2.3" is no host name'],
  ["sites: [{ names: [a.example, «A.Example], upstream: unix:/x }]", "the name a.example is given twice"],
  [
    `${SITE}  `.replace("]\n  ", `, { names: [b.example, «a.example], upstream: unix:/x }]`),
    /^the name a\.example belongs to another site already \(line 1\)/,
  ],
  [
    site("canonical: «aa.example"),
    'canonical aa.example is not among the site\'s names; did you mean "a.example"?',
  ],
  // Static files, certificates, headers
  [
    site("static: { «/static: static }"),
    'sites[0].static: the prefix "/static" must end with a slash: "/static/"',
  ],
  [site("static: { «static/: static }"), 'sites[0].static: the prefix "static/" must begin with a slash'],
  [site("static: { «/a/../: static }"), 'sites[0].static: the prefix "/a/../" has an empty or a dot segment'],
  [site("static: { /static/: «nowhere }"), /^the folder .*\/nowhere does not exist$/],
  [site("static: { /static/: «ca.pem }"), /^.*\/ca\.pem is no folder$/],
  [site("static: { /static/: «5 }"), "sites[0].static[/static/]: must be text, not 5"],
  // Pages of a folder
  [site("errors: «[/srv/pages]"), "sites[0].errors must be a single value, not a list"],
  [site('errors: «""'), "sites[0].errors: is empty"],
  [site("errors: «nowhere"), /^the folder .*\/nowhere does not exist$/],
  [site("errors: «ca.pem"), /^.*\/ca\.pem is no folder$/],
  [site("errors: «static"), /\/static has no page in it; write 502\.html, 5xx\.html or maintenance\.html$/],
  // Files that the app names
  [site("internal: «/srv/files"), 'sites[0].internal must be a mapping, not "/srv/files"'],
  [
    site("internal: { «/protected: static }"),
    'sites[0].internal: the prefix "/protected" must end with a slash: "/protected/"',
  ],
  [site("internal: { /protected/: «nowhere }"), /^the folder .*\/nowhere does not exist$/],
  [
    site("static: { /static/: static }\n    internal: { /protected/: «static }"),
    /\/static is in the static folder .*\/static, where everybody can fetch its files; move it elsewhere$/,
  ],
  [
    "sites: [{ names: [a.example], static: { /static/: static }, «internal: { /p/: . } }]",
    "internal is of no use without upstream: the app names the files",
  ],
  [
    site("certificate: «atuo"),
    'sites[0].certificate: must be one of auto, local, not "atuo"; did you mean "auto"?',
  ],
  [site("certificate: «{ cert: ca.pem }"), "sites[0].certificate.key is missing; give it"],
  [site("certificate: { cert: ca.pem, key: «nowhere.pem }"), /^the file .*\/nowhere\.pem does not exist$/],
  [site("hsts: «true"), "sites[0].hsts: must be a mapping of keys to values, or false, not true"],
  [site("hsts: { preload: «1 }"), "sites[0].hsts.preload: must be true or false, not 1"],
  [site("headers: { «'a b': x }"), 'sites[0].headers: "a b" is no field name (RFC 9110 section 5.1)'],
  [
    site("headers: { «Content-Length: '5' }"),
    "sites[0].headers: Content-Length belongs to the connection; Paddock sets it itself",
  ],
  [
    site('headers: { X-A: «"a\\r\\nb" }'),
    "sites[0].headers[X-A]: the value of X-A has a character that no field may have",
  ],
  [
    site("headers: { X-A: «5 }"),
    "sites[0].headers[X-A]: must be text in quotes, or null to remove the field, not 5",
  ],
  [site("cookies: { httpOnly: [«'a b'] }"), 'sites[0].cookies.httpOnly[0]: "a b" is no cookie name'],
  [
    site("cookies: { sameSite: «lax }"),
    'sites[0].cookies.sameSite: must be one of Strict, Lax, None, not "lax"; did you mean "Lax"?',
  ],
  // Issuers
  [
    issuer("acme: «letsencript"),
    'issuers[0].acme: "letsencript" is no known CA and no directory URL; did you mean "letsencrypt"?',
  ],
  [issuer("acme: «http://ca.example/dir"), /must be an https URL/],
  [issuer("acme: «https://u:p@ca.example/dir"), /no user name and no password/],
  [issuer("«profile: tlsserver"), "an issuer is either acme: NAME or local: true; give one of them"],
  [issuer("{ acme: google, «local: true }"), "an issuer is either acme or local; make it two issuers"],
  [issuer("{ local: true, «profile: x }"), "profile means nothing to the embedded CA; remove it"],
  [
    issuer("{ local: true, «preferredChain: x }"),
    "preferredChain means nothing to the embedded CA; remove it",
  ],
  [
    issuer("{ acme: google, preferredChain: «[x] }"),
    "issuers[0].preferredChain must be a single value, not a list",
  ],
  [
    "sites: [{ names: [a.example, «203.0.113.7], upstream: unix:/x }]",
    "203.0.113.7: letsencrypt certifies IP addresses under its profile shortlived only; set profile: shortlived of the issuer, or set certificate to local or to files",
  ],
  [
    "sites: [{ names: [«'2001:db8::1'], upstream: unix:/x }]\nissuers: [{ acme: letsencrypt-staging, profile: tlsserver }]",
    /^2001:db8::1: letsencrypt-staging certifies IP addresses under its profile shortlived only/,
  ],
  [issuer("{ acme: google, trustedRoots: «nowhere.pem }"), /^the file .*\/nowhere\.pem does not exist$/],
  [issuer("{ acme: zerossl, eab: «{ keyId: a } }"), "issuers[0].eab.hmacKey is missing; give it"],
  [`${SITE}issuers: «[]`, /^issuers is empty; remove the key/],
  [issuer("{ local: true, «staging: false }"), "staging means nothing to the embedded CA; remove it"],
  [
    issuer("{ acme: letsencrypt, staging: «letsencrypt-stagin }"),
    'issuers[0].staging: "letsencrypt-stagin" is no known CA and no directory URL; did you mean "letsencrypt-staging"?',
  ],
  [issuer("{ acme: zerossl, staging: «true }"), "issuers[0].staging: must be text, not true"],
  [
    issuer("{ acme: letsencrypt, staging: «letsencrypt }"),
    "staging is the directory of the issuer itself; write false where the CA has no other",
  ],
  [
    issuer("{ acme: zerossl, staging: «{ eab: { keyId: a, hmacKey: c2VjcmV0 } } }"),
    "no staging directory of zerossl is known; give its URL as staging.acme",
  ],
  [
    issuer("{ acme: google, staging: «google-staging }"),
    "google-staging asks for an account binding of its own; give staging.eab",
  ],
  [
    issuer("{ acme: google, staging: { eab: «{ keyId: a } } }"),
    "issuers[0].staging.eab.hmacKey is missing; give it",
  ],
  [issuer(`{ acme: zerossl, staging: { acme: "https://a.example/d", «url: x } }`), 'unknown key "url"'],
  // Rehearsals
  [`${SITE}rehearse: «7`, 'rehearse: "7" is no duration; write for example 7d, or false for no rehearsals'],
  [`${SITE}rehearse: «1h`, "rehearse: must be 1d or more: a CA's staging directory is there for all"],
  [
    `${SITE}rehearse: «true`,
    "rehearse: true is no duration; write for example 7d, or false for no rehearsals",
  ],
  [`${SITE}rehearse: «weekly`, /^rehearse: "weekly" is no duration/],
  // Challenges
  [`${SITE}challenges: «http-01`, 'challenges must be a list, not "http-01"'],
  [`${SITE}challenges: «[]`, /^challenges is empty; remove the key/],
  [`${SITE}challenges: [http-01, «http-01]`, "challenges: http-01 is given twice"],
  [
    `${SITE}challenges: [tls-alpn-01, «dns-1]`,
    'challenges[1]: "dns-1" is no challenge; did you mean "dns-01"?',
  ],
  [`${SITE}challenges: «[http-01, dns-01]`, /^challenges: dns-01 needs a program that changes the DNS/],
  [
    `${SITE}challenges: [http-01]\n«dns: { hook: hook }`,
    /^dns is of no use while challenges leaves out dns-01/,
  ],
  [`${SITE}dns: «{ hookTimeout: 5s }`, "dns.hook is missing; give it"],
  [`${SITE}dns: «/x`, 'dns must be a mapping of keys to values, not "/x"'],
  [`${SITE}dns: { hook: «nowhere }`, /^the program .*\/nowhere does not exist$/],
  [`${SITE}dns: { hook: «static }`, /\/static is no program$/],
  [`${SITE}dns: { hook: hook, «timeout: 5s }`, /^unknown key "timeout"/],
  [`${SITE}dns: { hook: hook, hookTimeout: «0s }`, "dns.hookTimeout must be longer than nothing"],
  [`${SITE}dns: { hook: hook, propagationTimeout: «120 }`, /"120" is no duration; write 120s/],
  [
    `${SITE}dns: { hook: hook, resolvers: [«dns.example] }`,
    'dns.resolvers[0]: "dns.example" is no address of a name server; write 192.0.2.53 or "[2001:db8::53]:53"',
  ],
  [
    `${SITE}dns: { hook: hook, nameServers: ["[::1]:53", «"192.0.2.53:99999"] }`,
    "dns.nameServers[1]: port 99999 is out of range; ports go from 1 to 65535",
  ],
  [
    "challenges: [dns-01]\ndns: { hook: hook }\nsites: [{ names: [«192.0.2.7], upstream: unix:/x }]",
    /^192\.0\.2\.7: a CA certifies an address by http-01 or tls-alpn-01 only, and challenges has dns-01;/,
  ],
  [
    "challenges: [http-01]\nlisten: { http: [] }\nsites: [{ names: [«a.example], upstream: unix:/x }]",
    /^a\.example: no challenge of a CA can be answered: listen\.http is needed for http-01/,
  ],
  [`${SITE}challenges: [«http-1]`, 'challenges[0]: "http-1" is no challenge; did you mean "http-01"?'],
  [
    `${SITE}upstreams: { a: { to: [unix:/x], maxConcurrent: «0 } }`,
    "upstreams.a.maxConcurrent: must be auto or a number from 1 to 100000, not 0",
  ],
  // Protection
  [site("rateLimit: { requests: «10 }"), "sites[0].rateLimit.requests: must be text, not 10"],
  [
    site("rateLimit: { requests: «0/s }"),
    'sites[0].rateLimit.requests: "0/s" is no rate; write for example 10/s, 100/m or 1000/h',
  ],
  [site("rateLimit: «{ burst: 5 }"), "sites[0].rateLimit.requests is missing; give it"],
  [
    site("rateLimit: { requests: 1/s, key: «cookie }"),
    'sites[0].rateLimit.key: "cookie" is no key; write address, or header: and the name of a field',
  ],
  [site("rateLimit: «10/s"), /^sites\[0\]\.rateLimit: must be a mapping of keys to values, or false/],
  [
    site("allow: [«10.1.2.3/8]"),
    'sites[0].allow[0]: "10.1.2.3/8" has bits behind its prefix; write 10.1.2.3/32 for the one address, or clear them',
  ],
  [site("deny: [«10.0.0.0/33]"), 'sites[0].deny[0]: "10.0.0.0/33": the prefix of an ipv4 network ends at 32'],
  [
    site('deny: [«"::ffff:10.0.0.0/104"]'),
    'sites[0].deny[0]: "::ffff:10.0.0.0/104" is an IPv4 network written as IPv6; write it as IPv4',
  ],
  [site("deny: [«office]"), /^sites\[0\]\.deny\[0\]: "office" is no network; write 10\.0\.0\.0\/8/],
  [site("allow: «[]"), "allow is empty; all lets everybody in"],
  [site("methods: «[]"), "methods is empty; list those that the app has"],
  [site("methods: [«get]"), 'sites[0].methods[0]: "get" is no method; write for example GET or POST'],
  [site("basicAuth: «{ realm: x }"), "basicAuth has no users; give users or usersFile"],
  [site("basicAuth: { usersFile: «nowhere }"), /^the file .*\/nowhere does not exist$/],
  [
    site("basicAuth: { users: { ann: «$2y$05$abcdefghijklmnopqrstuv } }"),
    "sites[0].basicAuth.users[ann]: must be an argon2id hash; this is a bcrypt hash. paddock hash-password makes one",
  ],
  [
    site("basicAuth: { users: { ann: «secret } }"),
    "sites[0].basicAuth.users[ann]: must be an argon2id hash; this is not. paddock hash-password makes one",
  ],
  [
    site(
      "basicAuth: { users: { ann: «'$argon2id$v=19$m=9999999,t=2,p=1$c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA' } }",
    ),
    "sites[0].basicAuth.users[ann]: must have m from 8 times p to 262144 (KiB), and p of at least 1",
  ],
  [
    site("basicAuth: { realm: «'a\"b', users: {} }"),
    /^sites\[0\]\.basicAuth\.realm: .* must be plain ASCII without quotes/,
  ],
  [site("forwardAuth: «{ path: /x }"), "sites[0].forwardAuth.to is missing; give it"],
  [site("forwardAuth: { to: «https://a.example/x }"), /https to the app is not available in this version/],
  [
    site("forwardAuth: { to: http://a.example:1/x, «path: /y }"),
    "path is given by to already; remove one of them",
  ],
  [
    site("forwardAuth: { to: unix:/x, headers: [«X-Forwarded-For] }"),
    "sites[0].forwardAuth.headers[0]: the app does not take X-Forwarded-For from an auth server; choose another field",
  ],
  [
    `${SITE}limits: { connectionsPerAddress: «0 }`,
    "limits.connectionsPerAddress: must be a whole number from 1 to 1000000, not 0",
  ],
  [
    "sites: [{ names: [a.example], upstream: unix:/x, paths: { /a/: { «alow: [all] } } }]",
    'unknown key "alow"; did you mean "allow"?',
  ],
  [site("cache: «{}"), "sites[0].cache.memory is missing; give it"],
  [
    site("cache: { memory: «64 }"),
    'sites[0].cache.memory: "64" is no size; write 64MB, or another unit: 16KB, 100MB or 1GB',
  ],
  [site("cache: { memory: «512KB }"), "a cache of less than 1MB holds next to nothing; give it more"],
  [site("cache: «true"), "sites[0].cache: must be a mapping of keys to values, or false, not true"],
  [site("cache: { memory: 64MB, «size: 1MB }"), 'unknown key "size"'],
  [
    site("paths: { /a/: { cache: «true } }"),
    "sites[0].paths./a/.cache: must be false, not true; the cache itself is given for the site",
  ],
  [
    site("paths: { /a/: { cache: «{ memory: 1MB } } }"),
    "sites[0].paths./a/.cache must be a single value, not a mapping",
  ],
  [
    `sites: [{ names: [a.example], static: { /s/: ${folder}/static/ }, «cache: { memory: 1MB } }]`,
    "cache is for the app's responses, and the site has no upstream; remove it",
  ],
  // On-demand names
  [site("«ondemand: { ask: /x }"), 'unknown key "ondemand"; did you mean "onDemand"?'],
  [site("onDemand: { ask: /x, «limits: 5/h }"), 'unknown key "limits"; did you mean "limit"?'],
  [site("onDemand: «true"), "sites[0].onDemand: must be a mapping of keys to values, or false, not true"],
  [site("onDemand: «{ limit: 5/h }"), "sites[0].onDemand.ask is missing; give it"],
  [
    site("onDemand: { ask: «ftp://a.example/x }"),
    'sites[0].onDemand.ask: "ftp://a.example/x" is neither a path nor an http or https URL; write for example /tls-allowed or http://127.0.0.1:8000/tls-allowed',
  ],
  [
    site("onDemand: { ask: «http://user:pass@a.example/x }"),
    /^sites\[0\]\.onDemand\.ask: .* is neither a path/,
  ],
  [site("onDemand: { ask: «/a b }"), 'sites[0].onDemand.ask: "/a b" is no path; write for example /healthz'],
  [
    site("onDemand: { ask: /x, limit: «10/d }"),
    'sites[0].onDemand.limit: "10/d" is no rate; write for example 10/s, 100/m or 1000/h',
  ],
  [site("onDemand: { ask: /x, wait: «30s }"), "a handshake waits for 20s at most; write for example 20s"],
  [site("onDemand: { ask: /x, wait: «0s }"), "a handshake waits for 20s at most; write for example 20s"],
  [
    `sites: [{ names: [a.example], static: { /s/: ${folder}/static/ }, onDemand: { ask: «/x } }]`,
    "ask is a path and the site has no upstream to ask; write a URL",
  ],
  [
    `upstreams: { a: { to: [unix:/x], proxyProtocol: true } }\nsites: [{ names: [a.example], upstream: a, onDemand: { ask: «/x } }]`,
    "ask is a path and the upstream wants a PROXY header, which a question has no client for; write a URL",
  ],
  [
    site("onDemand: { ask: /x }\n    «canonical: a.example"),
    "canonical would redirect every name that onDemand serves; give it to a site of its own",
  ],
  [
    `${site("onDemand: { ask: /x }")}  - names: [b.example]\n    upstream: unix:/x\n    «onDemand: { ask: /x }\n`,
    "another site has onDemand already (line 2); only one can be there for all other names",
  ],
  [site("compress: «gzip"), 'sites[0].compress: must be true or false, not "gzip"'],
];

for (const [marked, expected] of CASES) {
  const offset = marked.indexOf("«");
  const text = marked.replace("«", "");
  void test(`refuses ${JSON.stringify(marked.replace(SITE, "").slice(0, 90))}`, () => {
    const before = marked.slice(0, offset).split("\n");
    const problems = problemsOf(() => loadText(folder, text));
    assert.equal(problems.length, 1, JSON.stringify(problems));
    const [problem] = problems;
    assert.ok(problem);
    if (typeof expected === "string") assert.equal(problem.message, expected);
    else assert.match(problem.message, expected);
    const place = { line: problem.line, column: problem.column };
    assert.deepEqual(place, { line: before.length, column: (before.at(-1) ?? "").length + 1 });
    assert.equal(problem.file, `${folder}/paddock.yaml`);
  });
}

void test("a key is never shown in a message", () => {
  const text = issuer("{ acme: zerossl, eab: { keyId: a, hmacKey: 'very secret' } }");
  const [problem] = problemsOf(() => loadText(folder, text));
  assert.equal(problem?.message, "issuers[0].eab.hmacKey: must be base64url, as the CA showed it");
});

void test("a users file is reported at its own line, without the hash", () => {
  writeFileSync(join(folder, "staff"), "ann:$apr1$abc$def\n\n:x\nbo\n");
  const problems = problemsOf(() => loadText(folder, site("basicAuth: { usersFile: staff }")));
  assert.deepEqual(
    problems.map(({ file, line, message }) => [file, line, message]),
    [
      [
        join(folder, "staff"),
        1,
        'the hash of "ann" must be an argon2id hash; this is an MD5 hash of Apache. paddock hash-password makes one',
      ],
      [join(folder, "staff"), 3, "must be a user name, a colon and a hash"],
      [join(folder, "staff"), 4, "must be a user name, a colon and a hash"],
    ],
  );
});

void test("shows every problem of a file at once, in the order in which they are written", () => {
  const text =
    "emial: x\nworkers: 0\nsites:\n  - names: [a_b, c_d]\n    upstream: x\n    headers: { 'a b': x, X-A: 5 }\n";
  const lines = problemsOf(() => loadText(folder, text)).map(({ line, column }) => [line, column]);
  assert.deepEqual(lines, [
    [1, 1],
    [2, 10],
    [4, 13],
    [4, 18],
    [5, 15],
    [6, 16],
    [6, 31],
  ]);
});
