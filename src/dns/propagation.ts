import { isIPv6 } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf, PaddockError } from "../errors.ts";
import { Questions } from "./questions.ts";
import type { ZoneServer } from "./zone.ts";

/** Between two rounds of questions, milliseconds; it grows from the first to the second. */
const FIRST_WAIT = 250;
const LONGEST_WAIT = 5000;
/** For one question, milliseconds. */
const PATIENCE = 2000;
/** A server that has been silent in so many rounds is passed over, as a CA's resolver does. */
const SILENT_ROUNDS = 3;

/** What the last round found at a server: the value, other records or none, or no answer. */
type Finding = { readonly state: "there" | "missing" } | { readonly state: "silent"; readonly why: string };

interface Watched {
  readonly server: ZoneServer;
  silence: number;
  finding: Finding;
}

/**
 * Waits until a TXT record is at every name server of `servers`. They are asked themselves, not by way of a resolver:
 * one that was asked too early would remember that there is nothing, and a CA may ask any of the servers.
 *
 * @param port of the name servers where their address names none.
 * @throws PaddockError `dns.not-propagated`, which tells what each server says; the signal's reason when aborted.
 */
export async function awaitPropagation(options: {
  readonly name: string;
  readonly value: string;
  readonly servers: readonly ZoneServer[];
  /** Milliseconds. */
  readonly timeout: number;
  readonly signal: AbortSignal;
  readonly port?: number;
}): Promise<void> {
  const { name, value, servers, timeout, signal, port = 53 } = options;
  // Not by the wall clock, which may be set in between.
  const end = performance.now() + timeout;
  const watched: Watched[] = servers.map((server) => ({
    server,
    silence: 0,
    finding: { state: "silent", why: "not asked" },
  }));
  for (let wait = FIRST_WAIT; ; wait = Math.min(wait * 1.5, LONGEST_WAIT)) {
    await Promise.all(
      watched.map(async (one) => {
        if (one.finding.state === "there") return;
        one.finding = await look(one.server, { name, value, signal, port });
        one.silence = one.finding.state === "silent" ? one.silence + 1 : 0;
      }),
    );
    const found = watched.some(({ finding }) => finding.state === "there");
    const rest = watched.filter(({ finding }) => finding.state !== "there");
    if (found && rest.every(({ silence }) => silence >= SILENT_ROUNDS)) return;
    if (performance.now() + wait > end) throw notPropagated(name, rest, timeout);
    await sleep(wait, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

/** All of its addresses that answer must have it: behind a name there may be several machines. */
async function look(
  server: ZoneServer,
  { name, value, signal, port }: { name: string; value: string; signal: AbortSignal; port: number },
): Promise<Finding> {
  const silent: string[] = [];
  let answered = 0;
  for (const address of server.addresses) {
    try {
      const questions = new Questions([withPort(address, port)], signal, { patience: PATIENCE, tries: 1 });
      if (!(await questions.texts(name)).includes(value)) return { state: "missing" };
      answered += 1;
    } catch (error) {
      signal.throwIfAborted();
      silent.push(messageOf(error));
    }
  }
  if (answered > 0) return { state: "there" };
  return { state: "silent", why: silent.join("; ") || "it has no address" };
}

function withPort(address: string, port: number): string {
  // What the operator writes may have a port already.
  if (/^\[.*\]:\d+$|^[^:]+:\d+$/.test(address)) return address;
  return isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
}

function notPropagated(name: string, rest: readonly Watched[], timeout: number): PaddockError {
  const said = rest.map(({ server, finding }) =>
    finding.state === "silent"
      ? `${server.name} does not answer (${finding.why})`
      : `${server.name} does not have it`,
  );
  return new PaddockError(
    "dns.not-propagated",
    `the TXT record ${name} was not at all name servers within ${timeout / 1000} s: ${said.join("; ")}`,
    {
      fix: "Check that the hook adds it to this zone; raise dns.propagationTimeout where the servers take longer.",
    },
  );
}
