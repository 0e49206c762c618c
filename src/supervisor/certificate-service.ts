import { acmeIssuer } from "../acme/configured-issuer.ts";
import { AcmeIssuer } from "../acme/issuer.ts";
import type { ChallengeBoard } from "../acme/challenge.ts";
import type { Preflight } from "../acme/preflight.ts";
import { isPrivateCa } from "../certificates/guard/limits.ts";
import type { Issuer } from "../certificates/issuer.ts";
import { sentenceOf } from "../certificates/sentences.ts";
import { CertificateManager } from "../certificates/manager.ts";
import type { CertificateManagerOptions } from "../certificates/manager-options.ts";
import { systemClock } from "../clock.ts";
import type { Configuration } from "../config/configuration.ts";
import { Permissions } from "../certificates/on-demand/permission.ts";
import { HookTurns } from "../dns/hook.ts";
import { PaddockError } from "../errors.ts";
import type { Logger } from "../logging/logger.ts";
import { VERSION } from "../version.ts";
import { AcmeServer } from "./acme-server.ts";
import type { WorkerChallengeBoard } from "./challenge-board.ts";
import { ConfiguredChallenges, type ProvingParts } from "./configured-challenges.ts";
import type { ControlCommands } from "./control-server.ts";
import { issuerCommands } from "./certificate-commands.ts";
import { nameOf } from "./certificate-orders.ts";
import { appQuestion } from "./on-demand/app-question.ts";
import { NamePreflight } from "./preflight/name-preflight.ts";
import { ProvenChallenges } from "./proven-challenges.ts";
import { rehearsalCommand } from "./rehearsal-command.ts";

/** Milliseconds for the CA's directory. */
const PROFILE_PATIENCE = 30_000;

/**
 * A CA on a private address looks names up in a DNS of its own, which is not this machine's: there is nothing to look at,
 * unless the configuration says whom to ask.
 */
function preflightFor(
  { directory }: { readonly directory: string },
  { dns }: Configuration,
  board: ChallengeBoard,
): Preflight | null {
  const resolvers = dns?.resolvers ?? [];
  if (isPrivateCa(directory) && resolvers.length === 0) return null;
  return new NamePreflight({ board, resolvers });
}

type WantedCertificates = Parameters<CertificateManager["configure"]>;
type OnDemandTerms = WantedCertificates[1];

/** Puts the certificates, the CAs that they come from and the workers together. */
export class CertificateService {
  readonly manager: CertificateManager;
  /** The embedded CA for other machines. */
  readonly acmeServer: AcmeServer;
  readonly #proving: ProvingParts;
  readonly #log: Logger;
  #acme: readonly AcmeIssuer[] = [];

  /** @throws PaddockError `storage.failed` */
  static async open(
    options: Omit<CertificateManagerOptions, "clock">,
    board: WorkerChallengeBoard,
  ): Promise<CertificateService> {
    const manager = await CertificateManager.open({ ...options, clock: systemClock });
    const { storage, log } = options;
    const proven = await ProvenChallenges.open(storage, log);
    const proving = { proven, workers: board, turns: new HookTurns(), log };
    return new CertificateService(manager, proving, new AcmeServer({ storage, log, ca: manager.ca }));
  }

  private constructor(manager: CertificateManager, proving: ProvingParts, acmeServer: AcmeServer) {
    this.manager = manager;
    this.acmeServer = acmeServer;
    this.#proving = proving;
    this.#log = proving.log;
  }

  /**
   * What the manager is configured with.
   *
   * @throws PaddockError where a file of the configuration cannot be read; nothing has changed then.
   */
  async wanted(configuration: Configuration): Promise<WantedCertificates> {
    const { manager } = this;
    const board = new ConfiguredChallenges(configuration, this.#proving);
    this.#proving.proven.keepOnly(new Set(configuration.sites.flatMap(({ names }) => names)));
    const issuers = await Promise.all(
      configuration.issuers.map(
        async (issuer): Promise<AcmeIssuer | Issuer> =>
          issuer.kind === "local"
            ? manager.local
            : await acmeIssuer(issuer, {
                email: configuration.email,
                accounts: (name) => manager.stores.accounts(name),
                orders: manager.stores.orders(issuer.name),
                board,
                preflight: preflightFor(issuer, configuration, board),
                clock: systemClock,
                log: this.#log,
                version: VERSION,
              }),
      ),
    );
    const acme = issuers.filter((issuer) => issuer instanceof AcmeIssuer);
    for (const issuer of acme) void this.#checkProfile(issuer);
    // Staging directories have accounts, too.
    this.#acme = [...acme, ...acme.flatMap(({ staging }) => staging ?? [])];
    const sites = configuration.sites.map(({ names, certificate }) => ({
      names,
      choice: certificate,
      issuers,
    }));
    return [sites, this.#onDemand(configuration, issuers)];
  }

  #onDemand({ sites }: Configuration, issuers: readonly Issuer[]): OnDemandTerms {
    const { local } = this.manager;
    const site = sites.find(({ onDemand }) => onDemand !== null);
    const settings = site?.onDemand ?? null;
    if (site === undefined || settings === null) return null;
    // As for the names of sites, the embedded CA is no fallback for those outside.
    const [first = local, ...others] = settings.local ? [] : issuers.filter((issuer) => issuer !== local);
    return {
      issuers: [first, ...others],
      limit: settings.limit,
      permissions: new Permissions(appQuestion(site, settings, this.#log), systemClock),
    };
  }

  /** Said at the start, and not only by the first order, which may be weeks away. */
  async #checkProfile(issuer: AcmeIssuer): Promise<void> {
    try {
      await issuer.checkProfile(AbortSignal.timeout(PROFILE_PATIENCE));
    } catch (error) {
      // A CA that is away says nothing about the profile; the orders will say that it is away.
      if (!(error instanceof PaddockError) || error.code !== "acme.unknown-profile") return;
      this.#log.error({ err: error }, `nothing can be ordered from ${issuer.name}: ${sentenceOf(error)}`);
    }
  }

  /** What `paddock certs` asks of the running daemon; `certs-WORD` on the control socket. */
  get commands(): ControlCommands {
    return {
      "certs-renew": async (order) => {
        const name = nameOf(order);
        await this.manager.renewNow(name, { force: (order as { force?: unknown }).force === true });
      },
      ...issuerCommands(this.manager, () => this.#acme),
      ...rehearsalCommand(this.manager),
    };
  }
}
