import { randomBytes } from "node:crypto";
import type { BasicAuthConfiguration, Sourced } from "../../config/configuration.ts";
import { parsePasswordHash, type PasswordHash } from "../../config/password-hash.ts";
import type { Exchange } from "../../exchange/exchange.ts";
import { addressKey } from "./client-key.ts";
import { changeAppFields } from "./app-fields.ts";
import { KnownCredentials } from "./known-credentials.ts";
import { checkPassword } from "./password-check.ts";
import { refuse, ruleName, type Rule } from "./rule.ts";
import { TokenBuckets } from "./token-buckets.ts";

/** Wrong passwords that one address may try: ten at once, then one every six seconds, at each worker. */
const ATTEMPTS = { requests: 10, per: 60_000, burst: 9 };

type Outcome = "right" | "wrong" | "busy";

/**
 * The Basic scheme (RFC 7617) over argon2id hashes. 401 with a challenge where the credentials are missing or wrong,
 * 429 where an address has tried too many.
 *
 * The app does not get the Authorization field, other than behind nginx: the password opens this gate and no other,
 * the app has no use for it but to write it into a log, and frameworks take it for their own: Django REST framework
 * answers 401 to a name that is none of its users'.
 */
export function basicAuthRule({ from, value }: Sourced<BasicAuthConfiguration>): Rule {
  const name = ruleName("basicAuth", from);
  const users = new Map(value.users.map(([user, text]) => [user, hashOf(text)]));
  const nobody = hashOfNobody([...users.values()]);
  const known = new KnownCredentials();
  const attempts = new TokenBuckets(ATTEMPTS);
  /** Checks under way: a browser asks for all of a page's parts at once. */
  const checking = new Map<string, ((outcome: Outcome) => void)[]>();
  const challenge = ["www-authenticate", `Basic realm="${value.realm}", charset="UTF-8"`];

  function check(key: string, credentials: Credentials, done: (outcome: Outcome) => void): void {
    const others = checking.get(key);
    if (others !== undefined) {
      others.push(done);
      return;
    }
    checking.set(key, [done]);
    // A name that is not there takes as long as a wrong password, so that the time does not tell them apart.
    const hash = users.get(credentials.user);
    checkPassword(credentials.password, hash ?? nobody, (right) => {
      const outcome = right === null ? "busy" : right && hash !== undefined ? "right" : "wrong";
      if (outcome === "right") known.add(key);
      const waiting = checking.get(key) ?? [];
      checking.delete(key);
      for (const tell of waiting) tell(outcome);
    });
  }

  return (exchange, pass) => {
    const enter = (): void => {
      changeAppFields(exchange, ["authorization"], []);
      pass();
    };
    const field = authorization(exchange.fields);
    const credentials = field === null ? null : readCredentials(field);
    if (field === null || credentials === null) {
      refuse(exchange, 401, `no credentials for ${name}`, challenge);
      return;
    }
    const key = KnownCredentials.keyOf(field);
    if (known.has(key)) {
      enter();
      return;
    }
    const address = addressKey(exchange.clientAddress);
    // Paid before the check, so that many at once are not more than one after the other; given back when right.
    const isFirst = !checking.has(key);
    const wait = isFirst ? attempts.take(address, performance.now()) : 0;
    if (wait > 0) {
      const after = ["retry-after", String(Math.ceil(wait / 1000))];
      refuse(exchange, 429, `too many wrong passwords from this address for ${name}`, after);
      return;
    }
    check(key, credentials, (outcome) => {
      if (isFirst && outcome !== "wrong") attempts.charge(address, -1, performance.now());
      // The client may have gone meanwhile.
      if (exchange.onSettled === null) return;
      if (outcome === "right") enter();
      else if (outcome === "wrong") refuse(exchange, 401, `wrong name or password for ${name}`, challenge);
      else refuse(exchange, 503, `too many passwords to check at once for ${name}`, ["retry-after", "5"]);
    });
  };
}

interface Credentials {
  readonly user: string;
  readonly password: Buffer;
}

/** The one Authorization field; null where there is none, or more than one, which is nobody's in particular. */
function authorization(fields: Exchange["fields"]): string | null {
  let found: string | null = null;
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index] !== "authorization") continue;
    if (found !== null) return null;
    found = fields[index + 1] as string;
  }
  return found;
}

/** RFC 7617 section 2; null where it is another scheme, or not well-formed. */
function readCredentials(field: string): Credentials | null {
  const [, token] = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(field) ?? [];
  if (token === undefined) return null;
  const bytes = Buffer.from(token, "base64");
  const colon = bytes.indexOf(0x3a);
  return colon === -1
    ? null
    : { user: bytes.toString("utf8", 0, colon), password: bytes.subarray(colon + 1) };
}

function hashOf(text: string): PasswordHash {
  const parsed = parsePasswordHash(text);
  // The configuration was validated before it came here.
  if ("problem" in parsed) throw new TypeError(parsed.problem);
  return parsed.value;
}

/** A hash that no password has, as dear as the dearest of the others. */
function hashOfNobody(hashes: readonly PasswordHash[]): PasswordHash {
  const cost = ({ memory, passes }: PasswordHash): number => memory * passes;
  const [dearest] = [...hashes].sort((a, b) => cost(b) - cost(a)) as [PasswordHash];
  return { ...dearest, salt: randomBytes(dearest.salt.length), tag: randomBytes(dearest.tag.length) };
}
