import { randomBytes } from "node:crypto";

const POOL = 4096;
let pool = "";
let at = 0;

/** 32 lower-case hex digits, 128 random bits; drawn in blocks because a call per request costs a system call. */
export function requestId(): string {
  if (at >= pool.length) {
    pool = randomBytes(POOL).toString("hex");
    at = 0;
  }
  at += 32;
  return pool.slice(at - 32, at);
}
