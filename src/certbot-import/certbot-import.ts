import { stat } from "node:fs/promises";
import { AccountStore } from "../certificates/account-store.ts";
import { DamagedFiles } from "../certificates/damaged.ts";
import { makeStorage } from "../certificates/durable-file.ts";
import { setKey } from "../certificates/file-name.ts";
import { CertificateStore } from "../certificates/store.ts";
import { systemClock } from "../clock.ts";
import type { Configuration, IssuerConfiguration } from "../config/configuration.ts";
import { isLocalName } from "../config/local-names.ts";
import type { Logger } from "../logging/logger.ts";
import { readAccount, type CertbotAccount } from "./account.ts";
import { readLineages, type Lineage } from "./lineage.ts";

type AcmeIssuerConfiguration = Extract<IssuerConfiguration, { kind: "acme" }>;

/** What became of one lineage. */
export interface ImportedLineage {
  readonly lineage: string;
  readonly outcome: "imported" | "kept" | "skipped";
  readonly names: readonly string[];
  /** Milliseconds since the epoch; null where it could not be read. */
  readonly notAfter: number | null;
  /** Whether a site wants exactly its names from its CA, so that nothing is issued anew before its renewal. */
  readonly served: boolean;
  /** Sentences for the operator. */
  readonly remarks: readonly string[];
}

/** What became of one account. */
export interface ImportedAccount {
  readonly server: string;
  readonly outcome: "imported" | "kept" | "skipped";
  readonly remark: string;
}

export interface ImportReport {
  readonly lineages: readonly ImportedLineage[];
  readonly accounts: readonly ImportedAccount[];
}

/**
 * Takes certbot's certificates, keys and accounts into the storage. The folder is only read, so certbot could go on.
 *
 * @throws Error of the file system when the folder cannot be read at all; PaddockError `storage.failed`.
 */
export async function importCertbot(
  folder: string,
  configuration: Configuration,
  log: Logger,
): Promise<ImportReport> {
  const { storage, issuers } = configuration;
  const found = await readLineages(folder);
  const whole = found.filter((lineage) => "pair" in lineage);
  const wanted = await Promise.all(
    [...accountsOf(whole)].map(async ({ server, id }) => ({
      server,
      read: await readAccount(folder, server, id),
    })),
  );
  // What follows is written: as the storage's owner, since the daemon has to read what root imports for it.
  await makeStorage(storage);
  return await asOwnerOf(storage, async () => {
    const damaged = new DamagedFiles({ storage, clock: systemClock, log });
    const store = new CertificateStore({ storage, damaged });
    const lineages: ImportedLineage[] = [];
    for (const lineage of found) {
      if ("pair" in lineage) lineages.push(await importLineage(lineage, configuration, store));
      else lineages.push(damagedLineage(lineage.name, lineage.reason));
    }
    const accounts: ImportedAccount[] = [];
    for (const { server, read } of wanted) {
      const issuer = issuerOf(server, issuers);
      const keeper =
        issuer === undefined ? null : new AccountStore({ storage, issuer: issuer.name, damaged });
      accounts.push(await importAccount(server, read, keeper, configuration.email));
    }
    return { lineages, accounts };
  });
}

/** Server and account, each once: the one that most lineages use comes first, and only it is taken. */
function accountsOf(lineages: readonly Lineage[]): { server: string; id: string }[] {
  const uses = new Map<string, Map<string, number>>();
  for (const { server, account } of lineages) {
    if (account === null) continue;
    const ids = uses.get(server) ?? new Map<string, number>();
    uses.set(server, ids.set(account, (ids.get(account) ?? 0) + 1));
  }
  return [...uses].map(([server, ids]) => {
    const [most] = [...ids].sort(([, a], [, b]) => b - a);
    return { server, id: most?.[0] ?? "" };
  });
}

async function importLineage(
  lineage: Lineage,
  configuration: Configuration,
  store: CertificateStore,
): Promise<ImportedLineage> {
  const { name, pair, server, authenticator } = lineage;
  const names = pair.certified;
  const report = { lineage: name, names, notAfter: pair.notAfter, served: false };
  if (pair.notAfter <= Date.now())
    return { ...report, outcome: "skipped", remarks: ["it has ended; a new one is ordered"] };
  const issuer = issuerOf(server, configuration.issuers);
  const remarks: string[] = [];
  const wants = configuration.sites.some(
    (site) =>
      site.certificate.kind === "auto" &&
      setKey(site.names.filter((one) => !isLocalName(one))) === setKey(names),
  );
  if (issuer === undefined)
    remarks.push(
      `no issuer of the configuration is ${server}: it is served until a certificate of yours is there, and not renewed`,
    );
  else if (!wants)
    remarks.push(
      "no site has exactly these names: it is served for those that a site has, until a certificate for all of its names is issued",
    );
  if (names.some((one) => one.startsWith("*.")) && !configuration.challenges.includes("dns-01"))
    remarks.push("a wildcard is renewed by dns-01 alone: add it to challenges and set dns.hook");
  else if (authenticator.startsWith("dns-"))
    remarks.push(
      `certbot proved it by ${authenticator}; Paddock uses ${configuration.challenges.join(", ")}: see that port 80 or 443 is open to the CA, or set dns.hook`,
    );
  const of = issuer?.name ?? server;
  const served = issuer !== undefined && wants;
  const kept = await store.load(of, names);
  if (kept !== null && kept.issuedAt >= pair.notBefore && kept.notAfter >= pair.notAfter)
    return {
      ...report,
      served,
      outcome: "kept",
      remarks: ["the storage has this one or a newer one", ...remarks],
    };
  await store.save({ ...pair, issuer: of, names, issuedAt: pair.notBefore, renewal: null });
  return { ...report, served, outcome: "imported", remarks };
}

async function importAccount(
  server: string,
  read: CertbotAccount | { reason: string },
  keeper: AccountStore | null,
  email: string | null,
): Promise<ImportedAccount> {
  if ("reason" in read)
    return {
      server,
      outcome: "skipped",
      remark: `certbot's account cannot be used (${read.reason}); a new one is made`,
    };
  if (keeper === null)
    return { server, outcome: "skipped", remark: "no issuer of the configuration is this CA" };
  const kept = await keeper.load();
  if (kept?.url === read.url) return { server, outcome: "kept", remark: "it is certbot's already" };
  if (kept !== null && kept.url !== null && kept.directory === server)
    return { server, outcome: "kept", remark: "Paddock has an account of its own there, which goes on" };
  await keeper.save({ directory: server, url: read.url, privateJwk: read.privateJwk, email });
  return { server, outcome: "imported", remark: `renewals go on with ${read.url}` };
}

function damagedLineage(lineage: string, reason: string): ImportedLineage {
  const remarks = [`damaged, and left where it is: ${reason}`];
  return { lineage, outcome: "skipped", names: [], notAfter: null, served: false, remarks };
}

function issuerOf(server: string, issuers: Configuration["issuers"]): AcmeIssuerConfiguration | undefined {
  return issuers.find(
    (issuer): issuer is AcmeIssuerConfiguration => issuer.kind === "acme" && issuer.directory === server,
  );
}

/** Runs it as the user whom a folder belongs to, where this is root and the folder is not root's. */
async function asOwnerOf<T>(path: string, task: () => Promise<T>): Promise<T> {
  const { uid, gid } = await stat(path);
  if (process.getuid?.() !== 0 || uid === 0) return await task();
  process.setegid?.(gid);
  process.seteuid?.(uid);
  try {
    return await task();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
}
