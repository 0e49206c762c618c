import type { ChallengeKind } from "../config/challenges.ts";
import type { PaddockError } from "../errors.ts";
import type { Account } from "./account.ts";
import { fixFor } from "./challenge-fixes.ts";
import { notShown, type ChallengeTrials } from "./challenge-trials.ts";
import { challengesOf, keyAuthorization, type ChallengeBoard } from "./challenge.ts";
import { record } from "./directory.ts";
import { NotProven } from "./not-proven.ts";
import { poll } from "./polling.ts";
import { problemOf } from "./problem.ts";
import type { AcmeResponse, Session } from "./session.ts";

/** A CA looks several times, over minutes, before it gives up on a name. */
const PATIENCE = 5 * 60_000;
/** For telling the CA, after a failure, that the authorization is not wanted any more. */
const FAREWELL = 5_000;

/** What the authorizations of one attempt share. */
export interface Proving {
  readonly account: Account;
  readonly board: ChallengeBoard;
  readonly trials: ChallengeTrials;
}

/**
 * Proves control of one name (RFC 8555 §7.5). One that is valid already is left as it is.
 *
 * @returns "spent" where the CA refused a challenge, and another kind is left to be tried with a new order.
 * @throws PaddockError where nothing is left to be tried: AcmeProblem with the challenge's error where one kind was
 * tried, `acme.challenges-failed` where several were, `acme.no-usable-challenge` where none could be.
 */
export async function fulfilAuthorization(
  session: Session,
  url: string,
  proving: Proving,
): Promise<"valid" | "spent"> {
  const { account } = proving;
  const authorization = await session.post(url, null, account);
  const status = statusOf(authorization);
  if (status === "valid") {
    const name = nameOf(authorization);
    session.observe({ kind: "challenge", name, challenge: null, outcome: "reused", error: null });
    return "valid";
  }
  if (status !== "pending") throw refused(authorization, nameOf(authorization));
  try {
    return await prove(session, url, authorization, proving);
  } catch (error) {
    // One that a shutdown interrupts is left: its order is kept, and taken up at the next start.
    if (!session.interrupted) await deactivate(session, account, url);
    throw error;
  }
}

/** An answer that could not be shown costs nothing: the CA has not looked, so the next kind may use the same order. */
async function prove(
  session: Session,
  url: string,
  authorization: AcmeResponse,
  { account, board, trials }: Proving,
): Promise<"valid" | "spent"> {
  const name = nameOf(authorization);
  const offered = challengesOf(authorization.body["challenges"]);
  for (;;) {
    const challenge = trials.next(name, offered);
    const kind = challenge.type;
    const answer = {
      kind,
      name: name.replace(/^\*\./, ""),
      token: challenge.token,
      keyAuthorization: keyAuthorization(challenge.token, account.thumbprint),
    };
    const fail = (error: PaddockError): void => {
      session.observe({ kind: "challenge", name, challenge: kind, outcome: "failed", error });
      trials.failed(name, kind, error);
    };
    try {
      try {
        await board.publish(answer, session.signal);
      } catch (error) {
        session.signal.throwIfAborted();
        fail(notShown(name, kind, error));
        continue;
      }
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
      if (statusOf(decided) === "valid") {
        board.proven(name, kind);
        session.observe({ kind: "challenge", name, challenge: kind, outcome: "valid", error: null });
        return "valid";
      }
      fail(refused(decided, name, kind));
      // Throws what all of them said where none is left.
      trials.next(name, offered);
      return "spent";
    } finally {
      await board.withdraw(answer);
    }
  }
}

/** The reason is in the challenge that failed, or nowhere (an authorization that expired or was deactivated). */
function refused(authorization: AcmeResponse, name: string, kind: ChallengeKind | null = null): PaddockError {
  const failed = challengesOf(authorization.body["challenges"]).find((challenge) => challenge.error !== null);
  if (failed !== undefined) {
    const about = kind === null ? name : `${name}, ${kind}`;
    const type = String(record(failed.error)["type"]);
    const fix = kind === null ? undefined : fixFor(kind, type);
    return problemOf(failed.error, {
      status: null,
      retryAfter: null,
      about,
      ...(fix === undefined ? {} : { fix }),
    });
  }
  return new NotProven(
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
