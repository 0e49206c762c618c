import { X509Certificate, type KeyObject } from "node:crypto";
import { messageOf } from "../errors.ts";
import type { Logger } from "../logging/logger.ts";
import type { Account } from "./account.ts";
import { downloadChain } from "./certificate.ts";
import type { Session } from "./session.ts";

/** No CA has offered more than three; what a mistaken one offers is not followed for ever. */
const MOST_ALTERNATES = 8;

/**
 * Downloads the certificate with the chain that the operator prefers (RFC 8555 §7.4.2): the first one whose topmost
 * certificate was issued by `preferred`, else the first one that ends in it. Where the CA offers neither, its
 * default chain, and the log says which there are: a certificate with another chain is better than none.
 *
 * @param preferred common name of a root, or null for the default chain.
 */
export async function downloadCertificate(
  session: Session,
  account: Account,
  url: string,
  wanted: { names: readonly string[]; privateKey: KeyObject; preferred: string | null; log: Logger | null },
): Promise<string> {
  const { preferred, log } = wanted;
  const byDefault = await downloadChain(session, account, url, wanted);
  if (preferred === null || topOf(byDefault.chain).issuer === preferred) return byDefault.chain;
  const chains = [byDefault.chain];
  for (const alternate of byDefault.alternates.slice(0, MOST_ALTERNATES)) {
    try {
      const { chain } = await downloadChain(session, account, alternate, wanted);
      if (topOf(chain).issuer === preferred) return chain;
      chains.push(chain);
    } catch (error) {
      session.signal.throwIfAborted();
      log?.warn({ err: error }, `a chain that the CA offers was not accepted: ${messageOf(error)}`);
    }
  }
  const ending = chains.find((chain) => topOf(chain).subject === preferred);
  if (ending !== undefined) return ending;
  const offered = chains.map((chain) => `"${topOf(chain).issuer}"`).join(", ");
  log?.warn(
    `the CA offers no chain to "${preferred}", so its default one is used; it offers: ${offered}. Set preferredChain of the issuer to one of them, or remove it.`,
  );
  return byDefault.chain;
}

/** Common names of the topmost certificate of a chain, which is the last one. */
function topOf(chain: string): { subject: string; issuer: string } {
  const last = chain.slice(chain.lastIndexOf("-----BEGIN CERTIFICATE-----"));
  const { subject, issuer } = new X509Certificate(last);
  return { subject: commonName(subject), issuer: commonName(issuer) };
}

/** Node writes a distinguished name as one attribute a line; undefined where it is empty. */
function commonName(name: string | undefined): string {
  return /^CN=(.*)$/m.exec(name ?? "")?.[1] ?? "";
}
