import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import type { Clock } from "../../clock.ts";
import { PaddockError, systemErrorCode } from "../../errors.ts";
import type { Message } from "./message.ts";

/** Waits before the second and the third try, milliseconds. */
const WAITS = [5_000, 30_000];
/** For one try, milliseconds. */
const TIMEOUT = 10_000;

/**
 * Posts the message; a server that is away or answers 429 or 5xx is asked three times in all. No redirect is
 * followed: a service that moved has to be told anew.
 *
 * @throws PaddockError `notify.webhook`, which names the server and never the URL, whose path may be a secret.
 */
export async function postToWebhook(
  url: string,
  message: Message,
  context: { clock: Clock; signal: AbortSignal },
): Promise<void> {
  for (const wait of [...WAITS, null]) {
    const refusal = await post(url, message, context.signal);
    if (refusal === null) return;
    context.signal.throwIfAborted();
    if (!refusal.again || wait === null)
      throw new PaddockError("notify.webhook", `${new URL(url).host} did not take it: ${refusal.why}`, {
        fix: "Check notify.webhook, then run `paddock certs notify-test`.",
      });
    await pause(wait, context);
  }
}

/** Null when it was taken. */
function post(
  url: string,
  message: Message,
  signal: AbortSignal,
): Promise<{ why: string; again: boolean } | null> {
  const send = url.startsWith("https:") ? requestHttps : requestHttp;
  const body = Buffer.from(JSON.stringify(message));
  return new Promise((resolve) => {
    const asked = send(url, {
      method: "POST",
      agent: false,
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT)]),
      headers: {
        "Content-Type": "application/json",
        "Content-Length": body.length,
        "User-Agent": "paddock",
      },
    });
    asked.on("response", (response) => {
      const status = response.statusCode ?? 0;
      response.on("error", () => undefined);
      response.resume();
      const taken = status >= 200 && status < 300;
      resolve(taken ? null : { why: `status ${status}`, again: status === 429 || status >= 500 });
    });
    asked.on("error", (error) => {
      const code = systemErrorCode(error) ?? error.name;
      resolve({ why: code === "ABORT_ERR" ? `no answer in ${TIMEOUT / 1000} seconds` : code, again: true });
    });
    asked.end(body);
  });
}

function pause(delay: number, { clock, signal }: { clock: Clock; signal: AbortSignal }): Promise<void> {
  return new Promise((resolve, reject) => {
    const ended = (): void => {
      timer.cancel();
      reject(signal.reason as Error);
    };
    const timer = clock.setTimer(delay, () => {
      signal.removeEventListener("abort", ended);
      resolve();
    });
    signal.addEventListener("abort", ended, { once: true });
  });
}
