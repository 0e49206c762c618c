import { acmeIssuer } from "../acme/issuer.ts";
import type { Issuer } from "../certificates/issuer.ts";
import { CertificateManager, type CertificateManagerOptions } from "../certificates/manager.ts";
import { systemClock } from "../clock.ts";
import type { Configuration } from "../config/configuration.ts";
import { HookTurns } from "../dns/hook.ts";
import { VERSION } from "../version.ts";
import type { WorkerChallengeBoard } from "./challenge-board.ts";
import { ConfiguredChallenges, type ProvingParts } from "./configured-challenges.ts";
import type { ControlCommands } from "./control-server.ts";
import { nameOf } from "./certificate-orders.ts";
import { ProvenChallenges } from "./proven-challenges.ts";

type WantedCertificates = Parameters<CertificateManager["configure"]>[0];

/** Puts the certificates, the CAs that they come from and the workers together. */
export class CertificateService {
  readonly manager: CertificateManager;
  readonly #proving: ProvingParts;

  /** @throws PaddockError `storage.failed` */
  static async open(
    options: Omit<CertificateManagerOptions, "clock">,
    board: WorkerChallengeBoard,
  ): Promise<CertificateService> {
    const manager = await CertificateManager.open({ ...options, clock: systemClock });
    const proven = await ProvenChallenges.open(options.storage, options.log);
    return new CertificateService(manager, {
      proven,
      workers: board,
      turns: new HookTurns(),
      log: options.log,
    });
  }

  private constructor(manager: CertificateManager, proving: ProvingParts) {
    this.manager = manager;
    this.#proving = proving;
  }

  /** @throws PaddockError where a file of the configuration cannot be read; nothing has changed then. */
  async wanted(configuration: Configuration): Promise<WantedCertificates> {
    const { manager } = this;
    const board = new ConfiguredChallenges(configuration, this.#proving);
    this.#proving.proven.keepOnly(new Set(configuration.sites.flatMap(({ names }) => names)));
    const issuers: Issuer[] = await Promise.all(
      configuration.issuers.map(async (issuer) =>
        issuer.kind === "local"
          ? manager.local
          : await acmeIssuer(issuer, {
              email: configuration.email,
              accounts: manager.accounts(issuer.name),
              board,
              clock: systemClock,
              version: VERSION,
            }),
      ),
    );
    return configuration.sites.map(({ names, certificate }) => ({ names, choice: certificate, issuers }));
  }

  /** What `paddock certs` asks of the running daemon; `certs-WORD` on the control socket. */
  get commands(): ControlCommands {
    return {
      "certs-renew": async (order) => {
        await this.manager.renewNow(nameOf(order));
      },
    };
  }
}
