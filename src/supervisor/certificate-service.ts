import { acmeIssuer } from "../acme/issuer.ts";
import type { Issuer } from "../certificates/issuer.ts";
import { CertificateManager, type CertificateManagerOptions } from "../certificates/manager.ts";
import { systemClock } from "../clock.ts";
import type { Configuration } from "../config/configuration.ts";
import { VERSION } from "../version.ts";
import { AcmeServer } from "./acme-server.ts";
import type { WorkerChallengeBoard } from "./challenge-board.ts";
import type { ControlCommands } from "./control-server.ts";
import { nameOf } from "./certificate-orders.ts";

type WantedCertificates = Parameters<CertificateManager["configure"]>[0];

/** Puts the certificates, the CAs that they come from and the workers together. */
export class CertificateService {
  readonly manager: CertificateManager;
  /** The embedded CA for other machines. */
  readonly acmeServer: AcmeServer;
  readonly #board: WorkerChallengeBoard;

  /** @throws PaddockError `storage.failed` */
  static async open(
    options: Omit<CertificateManagerOptions, "clock">,
    board: WorkerChallengeBoard,
  ): Promise<CertificateService> {
    const manager = await CertificateManager.open({ ...options, clock: systemClock });
    const { storage, log } = options;
    return new CertificateService(manager, board, new AcmeServer({ storage, log, ca: manager.ca }));
  }

  private constructor(manager: CertificateManager, board: WorkerChallengeBoard, acmeServer: AcmeServer) {
    this.manager = manager;
    this.acmeServer = acmeServer;
    this.#board = board;
  }

  /** @throws PaddockError where a file of the configuration cannot be read; nothing has changed then. */
  async wanted(configuration: Configuration): Promise<WantedCertificates> {
    const { manager } = this;
    const issuers: Issuer[] = await Promise.all(
      configuration.issuers.map(async (issuer) =>
        issuer.kind === "local"
          ? manager.local
          : await acmeIssuer(issuer, {
              email: configuration.email,
              accounts: manager.accounts(issuer.name),
              board: this.#board,
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
