import { join } from "node:path";
import type { Clock } from "../clock.ts";
import {
  authoritySubject,
  loadAuthority,
  makeAuthority,
  saveAuthority,
  type Authority,
} from "./authority.ts";
import type { DamagedFiles } from "./damaged.ts";
import { listFolder, makePrivateFolder, readIfThere, writeDurably } from "./durable-file.ts";
import type { Storing } from "./storing.ts";
import { Intermediate, INTERMEDIATE_MARGIN } from "./intermediate.ts";

/** Stores or fails. */
const AT_ONCE: Pick<Storing, "keep"> = { keep: async (_key, _title, write) => await write() };

/** Ten years, in milliseconds. */
const ROOT_LIFETIME = 3650 * 24 * 3_600_000;

/**
 * The CA in the storage, for names that no public CA certifies and for the time before the first certificate:
 * a root (10 years), intermediates that sign, and leaves of a week (profile of RFC 5280).
 *
 * `ca/root.json` and `ca/intermediate.json` hold certificate and key; `ca/root.pem` is the public certificate,
 * for `curl --cacert` and for trust stores.
 */
export class EmbeddedCa {
  readonly rootCertificatePath: string;
  readonly rootCertificatePem: string;
  /** For this daemon's own sites. */
  readonly sites: Intermediate;
  /** For other machines, by the ACME server: of its own, so that neither may certify what is the other's. */
  readonly acme: Intermediate;

  /**
   * Loads the CA, and makes what is missing.
   *
   * @param options.storing waits for a full or read-only disk; without it such a disk is an error. A first root is not
   *   used before it is stored in any case, since somebody may be about to trust it.
   * @throws PaddockError `storage.failed`
   */
  static async open(options: {
    storage: string;
    clock: Clock;
    damaged: DamagedFiles;
    storing?: Pick<Storing, "keep">;
  }): Promise<EmbeddedCa> {
    const folder = join(options.storage, "ca");
    await makePrivateFolder(folder);
    await listFolder(folder);
    const rootPath = join(folder, "root.json");
    const { clock, damaged, storing = AT_ONCE } = options;
    let root = await loadAuthority(rootPath, damaged, "a new root is made, which has to be trusted anew");
    if (root === null || root.notAfter - clock.now() < INTERMEDIATE_MARGIN) {
      root = await makeAuthority(null, authoritySubject("Root CA", ROOT_LIFETIME, 1), clock.now());
      await saveAuthority(rootPath, root);
    }
    const pemPath = join(folder, "root.pem");
    const { certificate } = root;
    if ((await readIfThere(pemPath)) !== certificate)
      await storing.keep(pemPath, "root.pem of the embedded CA", () =>
        writeDurably(pemPath, certificate, 0o644),
      );
    return new EmbeddedCa({ folder, root, clock, damaged, storing });
  }

  private constructor(options: {
    folder: string;
    root: Authority;
    clock: Clock;
    damaged: DamagedFiles;
    storing: Pick<Storing, "keep">;
  }) {
    const { folder, root, clock, damaged, storing } = options;
    const intermediate = (file: string, title: string): Intermediate =>
      new Intermediate({ path: join(folder, file), title, root, clock, damaged, storing });
    this.rootCertificatePath = join(folder, "root.pem");
    this.rootCertificatePem = root.certificate;
    this.sites = intermediate("intermediate.json", "Intermediate CA");
    this.acme = intermediate("acme-intermediate.json", "ACME Intermediate CA");
  }

  /** A leaf for names of this daemon's sites, DNS names and IP addresses, with a new key. */
  async issue(names: readonly string[]): Promise<{ chain: string; key: string }> {
    return await this.sites.issue(names);
  }
}
