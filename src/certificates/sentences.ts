import { messageOf, PaddockError } from "../errors.ts";

/** What happened and what the operator can do about it, in one or two sentences. */
export function sentenceOf(error: unknown): string {
  const message = messageOf(error);
  const ended = /[.!?]$/.test(message) ? message : `${message}.`;
  return error instanceof PaddockError && error.fix !== undefined ? `${ended} ${error.fix}` : ended;
}

/** A moment as logs and `status` write it: UTC, to the second. */
export function moment(time: number): string {
  return new Date(time).toISOString().replace(/\.\d+Z$/, "Z");
}
