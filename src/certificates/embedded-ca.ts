import { createPrivateKey, generateKeyPair, randomBytes, X509Certificate, type KeyObject } from "node:crypto";
import { join } from "node:path";
import { promisify } from "node:util";
import { isIP } from "node:net";
import type { JsonGeneralName } from "@peculiar/x509";
import type { Clock } from "../clock.ts";
import { readPair } from "./certificate-pair.ts";
import type { DamagedFiles } from "./damaged.ts";
import { listFolder, makePrivateFolder, readIfThere, writeDurably } from "./durable-file.ts";
import { x509 } from "../tls/x509.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const ROOT_LIFETIME = 3650 * DAY;
const INTERMEDIATE_LIFETIME = 730 * DAY;
/** The intermediate is made anew with so much left, so that no leaf outlives it. */
const INTERMEDIATE_MARGIN = 180 * DAY;
const LEAF_LIFETIME = 7 * DAY;
/** Clocks of clients may be behind ours. */
const BACKDATED = HOUR;

const P256 = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNING = { name: "ECDSA", hash: "SHA-256" } as const;

interface Authority {
  /** PEM. */
  readonly certificate: string;
  readonly key: KeyObject;
  readonly notAfter: number;
}

interface Subject {
  readonly name: string;
  readonly lifetime: number;
  readonly extensions: readonly InstanceType<typeof x509.Extension>[];
}

/**
 * The CA in the storage, for names that no public CA certifies and for the time before the first certificate:
 * a root (10 years), an intermediate that signs, and leaves of a week (profile of RFC 5280).
 *
 * `ca/root.json` and `ca/intermediate.json` hold certificate and key; `ca/root.pem` is the public certificate,
 * for `curl --cacert` and for trust stores.
 */
export class EmbeddedCa {
  readonly rootCertificatePath: string;
  readonly rootCertificatePem: string;
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #damaged: DamagedFiles;
  readonly #root: Authority;
  #intermediate: Promise<Authority>;

  /** Loads the CA, and makes what is missing. */
  static async open(options: { storage: string; clock: Clock; damaged: DamagedFiles }): Promise<EmbeddedCa> {
    const folder = join(options.storage, "ca");
    await makePrivateFolder(folder);
    await listFolder(folder);
    const rootPath = join(folder, "root.json");
    const { clock, damaged } = options;
    let root = await loadAuthority(rootPath, damaged, "a new root is made, which has to be trusted anew");
    if (root === null || root.notAfter - clock.now() < INTERMEDIATE_MARGIN) {
      root = await makeAuthority(null, authoritySubject("Root CA", ROOT_LIFETIME, 1), clock.now());
      await saveAuthority(rootPath, root);
    }
    const pemPath = join(folder, "root.pem");
    if ((await readIfThere(pemPath)) !== root.certificate)
      await writeDurably(pemPath, root.certificate, 0o644);
    const ca = new EmbeddedCa({ ...options, folder, root });
    await ca.#intermediate;
    return ca;
  }

  private constructor(options: { folder: string; clock: Clock; damaged: DamagedFiles; root: Authority }) {
    this.#folder = options.folder;
    this.#clock = options.clock;
    this.#damaged = options.damaged;
    this.#root = options.root;
    this.rootCertificatePath = join(options.folder, "root.pem");
    this.rootCertificatePem = options.root.certificate;
    this.#intermediate = this.#openIntermediate();
  }

  /** A leaf for DNS names and IP addresses, with a new key; chain is leaf and intermediate. */
  async issue(names: readonly string[]): Promise<{ chain: string; key: string }> {
    const intermediate = await this.#current();
    const usages = new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true);
    // The subject is empty, so the names are critical (RFC 5280 §4.2.1.6).
    const alternative = new x509.SubjectAlternativeNameExtension(
      names.map((value): JsonGeneralName => ({ type: isIP(value) === 0 ? "dns" : "ip", value })),
      true,
    );
    const leaf = await makeAuthority(
      intermediate,
      {
        name: "",
        lifetime: LEAF_LIFETIME,
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          usages,
          new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
          alternative,
        ],
      },
      this.#clock.now(),
    );
    return { chain: leaf.certificate + intermediate.certificate, key: exportKey(leaf.key) };
  }

  /** The intermediate, made anew before its end. A failure (a full disk) is not kept: the next call tries again. */
  async #current(): Promise<Authority> {
    const known = await this.#intermediate.catch(() => null);
    if (known === null || known.notAfter - this.#clock.now() < INTERMEDIATE_MARGIN) {
      this.#intermediate = this.#openIntermediate();
    }
    return await this.#intermediate;
  }

  async #openIntermediate(): Promise<Authority> {
    const path = join(this.#folder, "intermediate.json");
    const kept = await loadAuthority(path, this.#damaged, "a new intermediate is made");
    if (
      kept !== null &&
      kept.notAfter - this.#clock.now() >= INTERMEDIATE_MARGIN &&
      signedBy(kept, this.#root)
    )
      return kept;
    const subject = authoritySubject("Intermediate CA", INTERMEDIATE_LIFETIME, 0);
    const made = await makeAuthority(this.#root, subject, this.#clock.now());
    await saveAuthority(path, made);
    return made;
  }
}

function authoritySubject(kind: string, lifetime: number, pathLength: number): Subject {
  const flags = x509.KeyUsageFlags;
  return {
    // Unique, since a trust store may hold the roots of several machines.
    name: `CN=Paddock Local ${kind} ${randomBytes(4).toString("hex")},O=Paddock`,
    lifetime,
    extensions: [
      new x509.BasicConstraintsExtension(true, pathLength, true),
      new x509.KeyUsagesExtension(flags.keyCertSign | flags.cRLSign, true),
    ],
  };
}

/** Signs a new key's certificate; without an issuer it signs itself. */
async function makeAuthority(issuer: Authority | null, subject: Subject, now: number): Promise<Authority> {
  const keys = await promisify(generateKeyPair)("ec", { namedCurve: "P-256" });
  const publicKey = keys.publicKey.toCryptoKey(P256, true, ["verify"]);
  const parent = issuer === null ? null : new x509.X509Certificate(issuer.certificate);
  // Whole seconds, as a certificate holds no fractions and the two must agree.
  const notAfter = Math.floor(Math.min(now + subject.lifetime, issuer?.notAfter ?? Infinity) / 1000) * 1000;
  const certificate = await x509.X509CertificateGenerator.create({
    subject: subject.name,
    issuer: parent === null ? subject.name : parent.subjectName,
    // Positive, and 128 bits of chance (CA/Browser Forum §7.1 asks for 64).
    serialNumber: `01${randomBytes(16).toString("hex")}`,
    notBefore: new Date(now - BACKDATED),
    notAfter: new Date(notAfter),
    publicKey,
    signingKey: (issuer?.key ?? keys.privateKey).toCryptoKey(P256, true, ["sign"]),
    signingAlgorithm: SIGNING,
    extensions: [
      ...subject.extensions,
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(parent === null ? publicKey : parent.publicKey),
    ],
  });
  return { certificate: `${certificate.toString("pem")}\n`, key: keys.privateKey, notAfter };
}

function signedBy(authority: Authority, root: Authority): boolean {
  return new X509Certificate(authority.certificate).verify(new X509Certificate(root.certificate).publicKey);
}

function exportKey(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" });
}

async function saveAuthority(path: string, authority: Authority): Promise<void> {
  const document = { certificate: authority.certificate, key: exportKey(authority.key) };
  await writeDurably(path, `${JSON.stringify(document, null, 1)}\n`);
}

async function loadAuthority(
  path: string,
  damaged: DamagedFiles,
  consequence: string,
): Promise<Authority | null> {
  const text = await readIfThere(path);
  if (text === null) return null;
  try {
    const { certificate, key } = JSON.parse(text) as Record<string, string>;
    const pair = readPair(String(certificate), String(key));
    return { certificate: pair.chain, key: createPrivateKey(pair.key), notAfter: pair.notAfter };
  } catch (error) {
    // JSON.parse quotes what it read in its message, and that may be a key.
    await damaged.setAside(path, error instanceof SyntaxError ? "not JSON" : error, consequence);
    return null;
  }
}
