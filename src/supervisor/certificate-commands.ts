import type { AcmeIssuer } from "../acme/issuer.ts";
import type { CertificateManager } from "../certificates/manager.ts";
import { REVOCATION_REASONS, type RevocationReason } from "../certificates/revocation.ts";
import { PaddockError } from "../errors.ts";
import { nameOf } from "./certificate-orders.ts";
import type { ControlCommands } from "./control-server.ts";

/** Milliseconds that a CA may take for what is no order. */
const PATIENCE = 50_000;

/** Revocation, and what is done with accounts: `certs-WORD` on the control socket. */
export function issuerCommands(
  manager: CertificateManager,
  issuers: () => readonly AcmeIssuer[],
): ControlCommands {
  return {
    "certs-revoke": async (order) => {
      await manager.revoke(nameOf(order), reasonOf(order), AbortSignal.timeout(PATIENCE));
    },
    "certs-account-rollover": async (order) => {
      await issuerOf(order, issuers()).rollOverAccount(AbortSignal.timeout(PATIENCE));
    },
    "certs-account-deactivate": async (order) => {
      await issuerOf(order, issuers()).deactivateAccount(AbortSignal.timeout(PATIENCE));
    },
  };
}

function reasonOf(order: unknown): RevocationReason {
  const { reason = "unspecified" } = order as { reason?: unknown };
  if (typeof reason === "string" && Object.hasOwn(REVOCATION_REASONS, reason))
    return reason as RevocationReason;
  throw new PaddockError("ERR_ORDER", `${JSON.stringify(reason)} is no reason to revoke`, {
    fix: `use one of ${Object.keys(REVOCATION_REASONS).join(", ")}`,
  });
}

function issuerOf(order: unknown, issuers: readonly AcmeIssuer[]): AcmeIssuer {
  const wanted = (order as { issuer?: unknown } | undefined)?.issuer;
  const issuer = issuers.find(({ name }) => name === wanted);
  if (issuer !== undefined) return issuer;
  const names = issuers.map(({ name }) => name).join(", ");
  throw new PaddockError("ERR_ORDER", `no issuer with an account is named ${String(wanted)}`, {
    fix: names === "" ? "the configuration has no issuer with acme" : `use one of ${names}`,
  });
}
