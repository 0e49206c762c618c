import type { Configuration } from "../config/configuration.ts";

/**
 * What of the configuration goes to the workers: all but what they have no use for and what may hold a secret (the
 * CAs' keys for external accounts, the webhook, the hook's path). Who breaks into a worker finds nothing of it there.
 */
export function workerConfiguration(configuration: Configuration): Configuration {
  return {
    ...configuration,
    email: null,
    issuers: [],
    dns: null,
    notify: { webhook: null, mail: null },
    localCa: { acme: null },
  };
}
