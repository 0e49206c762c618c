import { accessSync, constants, statSync } from "node:fs";
import { dirname } from "node:path";
import type { UpstreamAddress } from "../config/configuration.ts";
import { messageOf, systemErrorCode } from "../errors.ts";
import { MessageError } from "../http1/problem.ts";

/** What went wrong between Paddock and the app. */
export class UpstreamFailure extends Error {
  readonly kind: "connect" | "timeout" | "closed" | "protocol";
  /** Whether a part of the response has been received. */
  readonly begun: boolean;

  constructor(kind: UpstreamFailure["kind"], begun: boolean, cause: unknown) {
    super(messageOf(cause), { cause });
    this.kind = kind;
    this.begun = begun;
  }
}

/** The one place where a failure becomes a status. */
export function statusOf(failure: UpstreamFailure): 502 | 504 {
  return failure.kind === "timeout" ? 504 : 502;
}

/** The sentence that an operator reads: what failed and what to do. */
export function explain(failure: UpstreamFailure, address: UpstreamAddress): string {
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
export function failureOf(error: unknown, begun: boolean): UpstreamFailure {
  if (error instanceof UpstreamFailure) return error;
  return new UpstreamFailure(error instanceof MessageError ? "protocol" : "closed", begun, error);
}
