import type { ChallengeKind } from "../config/challenges.ts";
import { messageOf, PaddockError } from "../errors.ts";
import type { Challenge, ChallengeBoard } from "./challenge.ts";
import { NotProven } from "./not-proven.ts";

interface Failure {
  readonly kind: ChallengeKind;
  readonly error: PaddockError;
}

/**
 * Which kinds of challenges have been tried for which names. It lives for one attempt, and so longer than an order:
 * an authorization ends with the first challenge that fails (RFC 8555 §7.1.6), and the next kind needs a new order.
 */
export class ChallengeTrials {
  readonly #board: ChallengeBoard;
  readonly #failures = new Map<string, Failure[]>();

  constructor(board: ChallengeBoard) {
    this.#board = board;
  }

  /**
   * The best challenge that has not failed.
   *
   * @throws PaddockError with what each kind said, where there is none left.
   */
  next(name: string, offered: readonly Challenge[]): Challenge & { type: ChallengeKind } {
    const left = this.#left(name, offered);
    if (left !== undefined) return left;
    throw this.#exhausted(name, offered);
  }

  failed(name: string, kind: ChallengeKind, error: PaddockError): void {
    this.#failures.set(name, [...(this.#failures.get(name) ?? []), { kind, error }]);
  }

  #left(name: string, offered: readonly Challenge[]): (Challenge & { type: ChallengeKind }) | undefined {
    const failed = (this.#failures.get(name) ?? []).map(({ kind }) => kind);
    const usable = this.#board.kindsFor(name).flatMap((kind) => {
      const challenge = failed.includes(kind) ? undefined : offered.find(({ type }) => type === kind);
      return challenge === undefined ? [] : [{ ...challenge, type: kind }];
    });
    // One that an earlier process has begun is the one that the CA is looking at.
    return usable.find(({ status }) => status === "processing") ?? usable[0];
  }

  #exhausted(name: string, offered: readonly Challenge[]): PaddockError {
    const failures = this.#failures.get(name) ?? [];
    const kinds = this.#board.kindsFor(name);
    const types = offered.map(({ type }) => type);
    const [first, ...others] = failures;
    if (first === undefined) {
      const wanted = kinds.length === 0 ? "challenge that can prove" : `${kinds.join(" or ")} for`;
      return new NotProven(
        "acme.no-usable-challenge",
        `the CA offers no ${wanted} ${name}, only: ${types.join(", ") || "nothing"}`,
        {
          fix: "Allow another kind in `challenges` (wildcards need dns-01 and dns.hook), or set `certificate` of the site to files.",
        },
      );
    }
    if (others.length === 0) return first.error;
    const absent = kinds.filter((kind) => !types.includes(kind));
    const sentences = failures.map(({ error }) => error.message);
    if (absent.length > 0) sentences.push(`${absent.join(" and ")}: not offered by the CA`);
    const fixes = new Set(
      failures.flatMap(({ kind, error }) => (error.fix === undefined ? [] : `${kind}: ${error.fix}`)),
    );
    return new NotProven("acme.challenges-failed", sentences.join("; "), {
      cause: first.error,
      ...(fixes.size === 0 ? {} : { fix: [...fixes].join(" ") }),
    });
  }
}

/** What kept an answer from being shown, with the name and the kind that the log line needs. */
export function notShown(name: string, kind: ChallengeKind, cause: unknown): PaddockError {
  const code = cause instanceof PaddockError ? cause.code : "acme.challenge-not-shown";
  const fix = cause instanceof PaddockError ? cause.fix : undefined;
  return new NotProven(code, `${name}, ${kind}: ${messageOf(cause)}`, {
    cause,
    ...(fix === undefined ? {} : { fix }),
  });
}
