import { accessSync, constants, statSync } from "node:fs";
import { dirname } from "node:path";
import type { UpstreamAddress } from "../config/configuration.ts";
import { messageOf, systemErrorCode } from "../errors.ts";
import { MessageError } from "../http1/problem.ts";

/** What went wrong between Paddock and the app. */
export class UpstreamFailure extends Error {
  readonly address: UpstreamAddress;
  readonly kind: "connect" | "timeout" | "closed" | "protocol";
  /** Whether a part of the response has been received. */
  readonly begun: boolean;
  /** Whether it is certain that the app has read nothing of the request, so that any method may be sent again. */
  readonly untouched: boolean;

  constructor(
    address: UpstreamAddress,
    kind: UpstreamFailure["kind"],
    begun: boolean,
    cause: unknown,
    untouched = false,
  ) {
    super(messageOf(cause), { cause });
    this.address = address;
    this.kind = kind;
    this.begun = begun;
    this.untouched = untouched;
  }
}

/** What a restart looks like from here: the socket is gone, or nobody listens, or its backlog is full. */
const PASSING = new Set([
  "ENOENT",
  "ECONNREFUSED",
  "EAGAIN",
  "ECONNRESET",
  "EPIPE",
  "ENOTFOUND",
  "EAI_AGAIN",
]);

/** Whether it is worth to wait for the app; permission, for one, will not come by waiting. */
export function mayPass(failure: UpstreamFailure): boolean {
  return failure.untouched && PASSING.has(systemErrorCode(failure.cause) ?? "");
}

/** The one place where a failure becomes a status. */
export function statusOf(failure: UpstreamFailure): 502 | 504 {
  return failure.kind === "timeout" ? 504 : 502;
}

/** The sentence that an operator reads: what failed and what to do. */
export function explain(failure: UpstreamFailure): string {
  const { address } = failure;
  const where = address.kind === "unix" ? address.path : `${address.host}:${address.port}`;
  switch (failure.kind) {
    case "timeout":
      return `the app at ${where} did not answer in time; look for a slow view, or raise responseTimeout`;
    case "closed":
      return `the app at ${where} closed the connection before its answer was complete; look in the app's own log for a worker that died or was killed`;
    case "protocol":
      return `the app at ${where} sent what is not HTTP/1.1: ${failure.message}`;
    case "connect":
      return explainConnect(systemErrorCode(failure.cause), where, address, failure.message);
  }
}

function explainConnect(
  code: string | undefined,
  where: string,
  address: UpstreamAddress,
  message: string,
): string {
  switch (code) {
    case "ENOENT":
      return `there is no socket at ${where}; start the app, or correct the upstream's path`;
    case "ECONNREFUSED":
      return `nobody listens at ${where}; start the app`;
    case "EACCES":
    case "EPERM":
      return address.kind === "unix"
        ? `permission denied on ${deniedComponent(address.path)} for uid ${process.getuid?.()}; let this user through it, e.g. chmod o+x on a folder or a common group on the socket`
        : `permission denied when connecting to ${where}`;
    case "EAGAIN":
      return `the backlog of the app at ${where} is full; give it more workers, or set maxConcurrent`;
    case "ETIMEDOUT":
      return `the app at ${where} did not accept a connection in time; it is overloaded or its backlog is full`;
    default:
      return `cannot connect to ${where}: ${message}`;
  }
}

/** The first component of the path that this process may not pass; a worker that may not look says the path. */
function deniedComponent(path: string): string {
  const folders: string[] = [];
  for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder))
    folders.unshift(folder);
  try {
    for (const folder of folders) {
      statSync(folder);
      accessSync(folder, constants.X_OK);
    }
  } catch (error) {
    if (systemErrorCode(error) !== "ERR_ACCESS_DENIED") return (error as { path?: string }).path ?? path;
  }
  return path;
}

/** A thrown value from a connection as a failure. */
export function failureOf(
  address: UpstreamAddress,
  error: unknown,
  begun: boolean,
  untouched = false,
): UpstreamFailure {
  if (error instanceof UpstreamFailure) return error;
  const kind = error instanceof MessageError ? "protocol" : "closed";
  return new UpstreamFailure(address, kind, begun, error, untouched);
}
