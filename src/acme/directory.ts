import { PaddockError } from "../errors.ts";
import type { Clock } from "../clock.ts";
import { problemOf } from "./problem.ts";
import { parseRetryAfter } from "./retry-after.ts";
import type { Transport, TransportResponse } from "./transport.ts";

/** The directory object (RFC 8555 §7.1.1), with the extensions that we use. */
export interface Directory {
  readonly url: string;
  /** The CA's clock when it answered, milliseconds since the epoch; null where it did not say. */
  readonly time: number | null;
  readonly newNonce: string;
  readonly newAccount: string;
  readonly newOrder: string;
  readonly revokeCert: string | null;
  readonly keyChange: string | null;
  /** RFC 9773 §4.1; null where the CA has no renewal information. */
  readonly renewalInfo: string | null;
  readonly meta: {
    readonly externalAccountRequired: boolean;
    /** Names of the profiles that are offered (draft-ietf-acme-profiles §3); empty where there are none. */
    readonly profiles: readonly string[];
    /** What the CA answers to in CAA records, in lower case; empty where it does not say. */
    readonly caaIdentities: readonly string[];
  };
}

/** @throws AcmeProblem when the CA answers with an error, PaddockError `acme.not-a-directory` when it is none. */
export async function fetchDirectory(
  url: string,
  context: { transport: Transport; clock: Clock; signal: AbortSignal },
): Promise<Directory> {
  const response = await context.transport.send({ method: "GET", url, signal: context.signal });
  const body = parseJson(response.body);
  if (response.status !== 200) {
    const retryAfter = parseRetryAfter(response.fields["retry-after"], context.clock.now());
    throw problemOf(body, { status: response.status, retryAfter, about: `the directory ${url}` });
  }
  const document = record(body);
  const meta = record(document["meta"]);
  const resource = (name: string): string => {
    const value = document[name];
    if (typeof value === "string" && URL.canParse(value)) return value;
    throw new PaddockError("acme.not-a-directory", `${url} is not an ACME directory: it has no ${name}`, {
      fix: "Check the issuer's directory URL.",
    });
  };
  const optional = (name: string): string | null => (document[name] === undefined ? null : resource(name));
  return {
    url,
    time: timeOf(response.fields),
    newNonce: resource("newNonce"),
    newAccount: resource("newAccount"),
    newOrder: resource("newOrder"),
    revokeCert: optional("revokeCert"),
    keyChange: optional("keyChange"),
    renewalInfo: optional("renewalInfo"),
    meta: {
      externalAccountRequired: meta["externalAccountRequired"] === true,
      profiles: Object.keys(record(meta["profiles"])),
      caaIdentities: (Array.isArray(meta["caaIdentities"]) ? (meta["caaIdentities"] as unknown[]) : [])
        .filter((identity) => typeof identity === "string")
        .map((identity) => identity.toLowerCase()),
    },
  };
}

/** Date and Age (RFC 9110 §6.6.1, RFC 9111 §5.1): what a cache answers is as old as it says. */
function timeOf({ date, age }: TransportResponse["fields"]): number | null {
  const time = Date.parse(date ?? "") + (Number.parseInt(age ?? "0", 10) || 0) * 1000;
  return Number.isNaN(time) ? null : time;
}

/** Parsed JSON, or null for anything else: what a server sends may be an error page. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
