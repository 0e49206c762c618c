import { argon2, timingSafeEqual } from "node:crypto";
import type { PasswordHash } from "../../config/password-hash.ts";

/** Checks that wait for their turn, in one worker; more are answered with 503. */
const MOST_WAITING = 64;

/**
 * Checks of one worker, one at a time: each takes tens of megabytes and one of the four threads that files are read
 * by, and a flood of wrong passwords must leave the others to those.
 */
const waiting: (() => void)[] = [];
let busy = false;

/**
 * Whether the password has this hash, by a thread of libuv's pool, so that the others are served meanwhile. Null where
 * too many wait already.
 */
export function checkPassword(
  password: Buffer,
  hash: PasswordHash,
  done: (right: boolean | null) => void,
): void {
  if (busy && waiting.length >= MOST_WAITING) {
    done(null);
    return;
  }
  const { memory, passes, parallelism, salt, tag } = hash;
  const parameters = { message: password, nonce: salt, memory, passes, parallelism, tagLength: tag.length };
  waiting.push(() =>
    argon2("argon2id", parameters, (error, result) => {
      busy = false;
      next();
      // It fails where there is no memory; then nobody gets in.
      done(error === null && timingSafeEqual(result, tag));
    }),
  );
  next();
}

function next(): void {
  if (busy) return;
  const check = waiting.shift();
  if (check === undefined) return;
  busy = true;
  check();
}
