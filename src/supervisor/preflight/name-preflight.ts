import { randomBytes } from "node:crypto";
import { isIP, isIPv6 } from "node:net";
import type { ChallengeBoard } from "../../acme/challenge.ts";
import type { Preflight } from "../../acme/preflight.ts";
import type { ChallengeKind } from "../../config/challenges.ts";
import { relevantCaa, whyForbidden } from "../../dns/caa.ts";
import { Questions } from "../../dns/questions.ts";
import { messageOf, PaddockError } from "../../errors.ts";
import { fetchToken, shakeHands, type Obstacle, type Target, type Token } from "./reach.ts";

/** Names that are looked at together; each may be asked at several addresses. */
const AT_ONCE = 4;

/** Milliseconds for one address: Let's Encrypt waits ten seconds too. */
const PATIENCE = 10_000;

type ReachKind = Exclude<ChallengeKind, "dns-01">;

export interface NamePreflightOptions {
  readonly board: ChallengeBoard;
  /** As in `dns.resolvers`; empty for the system's. */
  readonly resolvers: readonly string[];
  /** Where the CA looks, which is not where the listeners are if something forwards to them; RFC 8555 section 8.3, RFC 8737 section 3. */
  readonly ports?: Readonly<Record<ReachKind, number>>;
  readonly patience?: number;
}

/**
 * The look before the first order of a name: its addresses, a token of our own fetched at each of them, and CAA.
 *
 * What stops the order is what the CA sees in the same way as we do, since it is in the DNS: no address, and CAA. What an
 * address answers is only said: behind NAT one's own public address often cannot be reached from inside, or the router
 * answers, and the CA gets through all the same. An order that goes on costs one failed authorization of five an hour.
 */
export class NamePreflight implements Preflight {
  readonly #options: NamePreflightOptions;
  readonly #ports: Readonly<Record<ReachKind, number>>;

  constructor(options: NamePreflightOptions) {
    this.#options = options;
    this.#ports = options.ports ?? { "http-01": 80, "tls-alpn-01": 443 };
  }

  async look(
    { names, identities, asksAddresses }: Parameters<Preflight["look"]>[0],
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const { resolvers } = this.#options;
    const questions = new Questions(resolvers.length === 0 ? null : resolvers, signal);
    const found: string[][] = [];
    const left = [...names.entries()];
    const walk = async (): Promise<void> => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        const [at, name] = next;
        found[at] = await this.#name({ name, identities, asksAddresses }, questions, signal);
      }
    };
    const walks = await Promise.allSettled(Array.from({ length: AT_ONCE }, walk));
    signal.throwIfAborted();
    const stops = walks.flatMap((result) => (result.status === "rejected" ? [result.reason as unknown] : []));
    if (stops.length > 0) throw stops[0];
    return found.flat();
  }

  async #name(
    {
      name,
      identities,
      asksAddresses,
    }: { readonly name: string; readonly identities: readonly string[]; readonly asksAddresses: boolean },
    questions: Questions,
    signal: AbortSignal,
  ): Promise<string[]> {
    const kinds = this.#options.board.kindsFor(name);
    const looks = [
      async () => await checkCaa(name, identities, kinds, questions),
      async () => await this.#addresses({ name, kinds, asksAddresses }, questions, signal),
    ];
    const warnings: string[] = [];
    for (const look of looks) {
      try {
        warnings.push(...(await look()));
      } catch (error) {
        signal.throwIfAborted();
        // Name servers that give no answer here may give one to the CA.
        if (!(error instanceof PaddockError) || error.code !== "dns.no-answer") throw error;
        warnings.push(`${name}: ${error.message}`);
      }
    }
    return warnings;
  }

  async #addresses(
    {
      name,
      kinds,
      asksAddresses,
    }: { readonly name: string; readonly kinds: readonly ChallengeKind[]; readonly asksAddresses: boolean },
    questions: Questions,
    signal: AbortSignal,
  ): Promise<string[]> {
    const reached = kinds.filter((kind) => kind !== "dns-01");
    if (reached.length === 0) return [];
    const addresses = isIP(name) === 0 ? await questions.addresses(name) : [name];
    if (addresses.length === 0) {
      const what = `${name} has no A and no AAAA record`;
      if (kinds.includes("dns-01")) return [`${what}; it can be proven by dns-01 only`];
      throw new PaddockError("preflight.no-address", what, {
        fix: "Add one with this machine's public address; the order is made once it is there.",
      });
    }
    if (!asksAddresses) return [];
    const found = await Promise.all(
      reached.map(async (kind) => await this.#reach(kind, name, addresses, signal)),
    );
    return found.flat();
  }

  /** The token is shown as a CA's would be, and asked for at each address. */
  async #reach(
    kind: ReachKind,
    name: string,
    addresses: readonly string[],
    signal: AbortSignal,
  ): Promise<string[]> {
    const { board, patience = PATIENCE } = this.#options;
    const token = randomBytes(32).toString("base64url");
    const shown = {
      kind,
      name,
      token,
      keyAuthorization: `${token}.${randomBytes(32).toString("base64url")}`,
    };
    try {
      await board.publish(shown, signal);
      const sentences = await Promise.all(
        addresses.map(async (address) => {
          const target = { name, address, port: this.#ports[kind] };
          const until = AbortSignal.any([signal, AbortSignal.timeout(patience)]);
          return sentenceOn(target, await ask(kind, target, shown, until));
        }),
      );
      signal.throwIfAborted();
      return sentences.filter((sentence) => sentence !== null);
    } catch (error) {
      signal.throwIfAborted();
      return [`${name}, ${kind}: the answer could not be shown (${messageOf(error)})`];
    } finally {
      await board.withdraw(shown);
    }
  }
}

async function ask(kind: ReachKind, target: Target, token: Token, signal: AbortSignal): Promise<Obstacle> {
  return kind === "http-01"
    ? await fetchToken(target, token, signal)
    : await shakeHands(target, token, signal);
}

/** `example.org, AAAA 2001:db8::1, port 80: connection refused; remove the AAAA record or open the port`. */
function sentenceOn({ name, address, port }: Target, obstacle: Obstacle): string | null {
  if (obstacle === null) return null;
  const isName = isIP(name) === 0;
  const record = isIPv6(address) ? "AAAA" : "A";
  const where = isName ? `${name}, ${record} ${address}, port ${port}` : `${name}, port ${port}`;
  return `${where}: ${obstacle.what}; ${mending(obstacle.mend, isName ? record : null)}`;
}

function mending(mend: "open" | "family" | "server", record: "A" | "AAAA" | null): string {
  if (mend === "open")
    return record === null ? "open the port" : `remove the ${record} record or open the port`;
  if (mend === "server")
    return record === null
      ? "let the port lead here"
      : `let the ${record} record lead to this machine, and the port to Paddock`;
  return record === null
    ? "so it was not tried"
    : `so it was not tried; remove the ${record} record if this machine does not have the address`;
}

/** @throws PaddockError `preflight.caa`, `dns.no-answer` */
async function checkCaa(
  name: string,
  identities: readonly string[],
  kinds: readonly ChallengeKind[],
  questions: Questions,
): Promise<string[]> {
  if (isIP(name) !== 0 || identities.length === 0) return [];
  const relevant = await relevantCaa(name, questions);
  if (relevant === null) return [];
  const why = whyForbidden(name, relevant.records, identities, kinds);
  if (why === null) return [];
  throw new PaddockError("preflight.caa", `${name}: the CAA record of ${relevant.owner} ${why}`, {
    fix: `Add \`${relevant.owner}. CAA 0 ${name.startsWith("*.") ? "issuewild" : "issue"} "${identities[0] ?? ""}"\`, or name another issuer.`,
  });
}
