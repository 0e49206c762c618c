import { PaddockError } from "../errors.ts";
import type { Account } from "./account.ts";
import { challengesOf, keyAuthorization, type Challenge, type ChallengeBoard } from "./challenge.ts";
import { record } from "./directory.ts";
import { poll } from "./polling.ts";
import { problemOf } from "./problem.ts";
import type { AcmeResponse, Session } from "./session.ts";

/** A CA looks several times, over minutes, before it gives up on a name. */
const PATIENCE = 5 * 60_000;
/** For telling the CA, after a failure, that the authorization is not wanted any more. */
const FAREWELL = 5_000;

/**
 * Proves control of one name (RFC 8555 §7.5). One that is valid already is left as it is.
 *
 * @throws AcmeProblem with the challenge's error when the CA refuses; PaddockError `acme.no-usable-challenge`.
 */
export async function fulfilAuthorization(
  session: Session,
  account: Account,
  url: string,
  board: ChallengeBoard,
): Promise<void> {
  const authorization = await session.post(url, null, account);
  const name = nameOf(authorization);
  const status = statusOf(authorization);
  if (status === "valid") {
    session.observe({ kind: "challenge", name, challenge: null, outcome: "reused", error: null });
    return;
  }
  if (status !== "pending") throw refused(authorization, name);
  try {
    await answer(session, account, { url, name, authorization, board });
  } catch (error) {
    await deactivate(session, account, url);
    throw error;
  }
}

async function answer(
  session: Session,
  account: Account,
  pending: { url: string; name: string; authorization: AcmeResponse; board: ChallengeBoard },
): Promise<void> {
  const { url, name, authorization, board } = pending;
  const challenge = chooseChallenge(authorization, name);
  const observe = (outcome: "valid" | "failed", error: unknown): void =>
    session.observe({ kind: "challenge", name, challenge: challenge.type, outcome, error });
  try {
    await board.publish(challenge.token, keyAuthorization(challenge.token, account.thumbprint));
    session.signal.throwIfAborted();
    // One that is processing or valid was answered before, and answering twice is an error (§7.5.1).
    if (challenge.status === "pending") await session.post(challenge.url, {}, account, { about: name });
    const decided = await poll({
      first: authorization,
      ask: () => session.post(url, null, account, { about: name }),
      done: (response) => statusOf(response) !== "pending",
      what: `the authorization of ${name}`,
      patience: PATIENCE,
      clock: session.clock,
      signal: session.signal,
    });
    if (statusOf(decided) !== "valid") throw refused(decided, name);
    observe("valid", null);
  } catch (error) {
    if (!session.signal.aborted) observe("failed", error);
    throw error;
  } finally {
    await board.withdraw(challenge.token);
  }
}

function chooseChallenge(authorization: AcmeResponse, name: string): Challenge {
  const offered = challengesOf(authorization.body["challenges"]);
  const chosen = offered.find((challenge) => challenge.type === "http-01");
  if (chosen !== undefined) return chosen;
  const types = offered.map((challenge) => challenge.type).join(", ");
  throw new PaddockError(
    "acme.no-usable-challenge",
    `the CA offers no http-01 for ${name}, only: ${types || "nothing"}`,
    {
      fix: "Wildcards need dns-01; list the names one by one, or set `certificate` of the site to files.",
    },
  );
}

/** The reason is in the challenge that failed, or nowhere (an authorization that expired or was deactivated). */
function refused(authorization: AcmeResponse, name: string): Error {
  const failed = challengesOf(authorization.body["challenges"]).find((challenge) => challenge.error !== null);
  if (failed !== undefined) return problemOf(failed.error, { status: null, retryAfter: null, about: name });
  return new PaddockError(
    "acme.authorization-refused",
    `the authorization of ${name} is ${statusOf(authorization)}`,
    {
      fix: "The attempt is repeated with a new order.",
    },
  );
}

/** Frees the CA's quota of pending authorizations (RFC 8555 §7.5.2). A failure of it changes nothing for us. */
async function deactivate(session: Session, account: Account, url: string): Promise<void> {
  const farewell = session.with(AbortSignal.timeout(FAREWELL));
  try {
    await farewell.post(url, { status: "deactivated" }, account);
  } catch {
    // It is invalid already, or the CA is away; in both cases the original error is the one that matters.
  }
}

function statusOf(response: AcmeResponse): string {
  return String(response.body["status"]);
}

function nameOf(authorization: AcmeResponse): string {
  const value = String(record(authorization.body["identifier"])["value"]);
  return authorization.body["wildcard"] === true ? `*.${value}` : value;
}
