/**
 * The base of every error that Paddock raises on purpose.
 *
 * `code` is a stable word for programs and logs; `message` says what happened; `fix` says what the operator can
 * do about it, in one sentence, and is undefined where nothing can be done.
 */
export class PaddockError extends Error {
  readonly code: string;
  readonly fix: string | undefined;

  constructor(code: string, message: string, options: { fix?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.fix = options.fix;
  }
}

/** The `code` of a system error (`ENOENT`, `ECONNREFUSED`, …), or undefined where there is none. */
export function systemErrorCode(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  const code = (error as { code?: unknown }).code;
  return typeof code === "string" ? code : undefined;
}

/** A thrown value's message; anything can be thrown, so anything is accepted. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
