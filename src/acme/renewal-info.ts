import { X509Certificate } from "node:crypto";
import type { Clock } from "../clock.ts";
import { parseJson, record, type Directory } from "./directory.ts";
import { problemOf } from "./problem.ts";
import { parseRetryAfter } from "./retry-after.ts";
import { unexpected } from "./session.ts";
import type { Transport } from "./transport.ts";
import { x509 } from "../tls/x509.ts";

/** The CA's wish when to renew (RFC 9773 §4.2). Times are milliseconds since the epoch. */
export interface RenewalInfo {
  readonly start: number;
  readonly end: number;
  /** A page for the operator about why, or null. */
  readonly explanationUrl: string | null;
  /** When to ask again, milliseconds from now, or null. */
  readonly retryAfter: number | null;
}

/**
 * The certificate's identifier (RFC 9773 §4.1): base64url of the authority key identifier, a dot, base64url of
 * the serial number's DER content. Null for a certificate without an authority key identifier.
 *
 * @param chain PEM, the end-entity certificate first.
 */
export function certificateId(chain: string): string | null {
  const certificate = new x509.X509Certificate(new X509Certificate(chain).raw);
  const keyId = certificate.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId;
  if (keyId === undefined) return null;
  // DER integers are signed: a first bit that is set needs a zero byte before it, which hexadecimal text lacks.
  const hex =
    certificate.serialNumber.length % 2 === 0 ? certificate.serialNumber : `0${certificate.serialNumber}`;
  const serial = Buffer.from(hex, "hex");
  const der = (serial[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), serial]) : serial;
  return `${Buffer.from(keyId, "hex").toString("base64url")}.${der.toString("base64url")}`;
}

/**
 * Asks for the renewal window of a certificate (RFC 9773 §4.1), unsigned as the RFC has it.
 *
 * @returns null where the CA has no renewal information or the certificate has no identifier.
 * @throws AcmeProblem; PaddockError `acme.unexpected-response` for a window that ends before it starts.
 */
export async function fetchRenewalInfo(
  chain: string,
  context: { directory: Directory; transport: Transport; clock: Clock; signal: AbortSignal },
): Promise<RenewalInfo | null> {
  const id = certificateId(chain);
  if (context.directory.renewalInfo === null || id === null) return null;
  const url = `${context.directory.renewalInfo.replace(/\/$/, "")}/${id}`;
  const response = await context.transport.send({ method: "GET", url, signal: context.signal });
  const retryAfter = parseRetryAfter(response.fields["retry-after"], context.clock.now());
  const body = parseJson(response.body);
  if (response.status !== 200)
    throw problemOf(body, { status: response.status, retryAfter, about: "renewal information" });
  const window = record(record(body)["suggestedWindow"]);
  const start = Date.parse(String(window["start"]));
  const end = Date.parse(String(window["end"]));
  // NaN fails this comparison too.
  if (!(start < end)) throw unexpected("a renewal window that does not end after its start");
  const explanation = record(body)["explanationURL"];
  return { start, end, retryAfter, explanationUrl: typeof explanation === "string" ? explanation : null };
}
