import { request } from "node:http";
import { PaddockError, systemErrorCode } from "../errors.ts";

/** What the running daemon does for the command line. */
export type DaemonCommand =
  | "reload"
  | "status"
  | "maintenance"
  | "purge"
  | "certs-renew"
  | "certs-rehearse"
  | "certs-revoke"
  | "certs-account-rollover"
  | "certs-account-deactivate"
  | "certs-journal"
  | "certs-notify-test";

/** Milliseconds without an answer; an order at a CA may take minutes. */
const PATIENCE = 60_000;

/**
 * Asks the running daemon; rejects with ERR_UNREACHABLE (exit code 3) where there is none.
 *
 * @param patience milliseconds to wait for the answer; one minute unless given.
 */
export function askDaemon(
  socketPath: string,
  command: DaemonCommand,
  order?: unknown,
  patience = PATIENCE,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { socketPath, path: `/${command}`, method: "POST", timeout: patience },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (part: string) => (text += part));
        response.on("end", () => {
          const body = JSON.parse(text) as { error?: string; fix?: string };
          if (response.statusCode === 200) resolve(body);
          else
            reject(
              new PaddockError(
                "ERR_REFUSED",
                body.error ?? "the daemon refused",
                body.fix === undefined ? {} : { fix: body.fix },
              ),
            );
        });
      },
    );
    asked.on("timeout", () => asked.destroy(new Error("no answer")));
    asked.on("error", (error) => {
      reject(
        new PaddockError(
          "ERR_UNREACHABLE",
          `no daemon answers on ${socketPath}: ${systemErrorCode(error) ?? error.message}`,
          {
            fix: "start it, or name the configuration that it runs with by --config",
            cause: error,
          },
        ),
      );
    });
    asked.end(order === undefined ? undefined : JSON.stringify(order));
  });
}
