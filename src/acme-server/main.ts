import { messageOf, systemErrorCode } from "../errors.ts";
import { TLS_POLICIES } from "../tls/policy.ts";
import { createListener } from "./listener.ts";
import type { AcmeServerOrder, AcmeServerReport, AcmeServerWish } from "./messages.ts";
import { Orders } from "./orders.ts";
import { Protocol } from "./protocol.ts";
import { Registry } from "./registry.ts";
import { Validator } from "./validator.ts";

/**
 * The ACME server's process. It reads what strangers send, so it has neither the CA's key nor the disk: it asks the
 * supervisor to sign and to save, and it leaves when the supervisor is gone.
 */
const CLEANING = 3_600_000;

const waiting = new Map<
  number,
  { resolve: (value: string | null) => void; reject: (error: Error) => void }
>();
let lastId = 0;
let server: ReturnType<typeof createListener> | null = null;

function report(message: AcmeServerReport): void {
  process.send?.(message);
}

function ask(wish: AcmeServerWish): Promise<string | null> {
  const id = (lastId += 1);
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    report({ type: "wish", id, wish });
  });
}

function say(level: "info" | "warn", message: string, fields: object): void {
  report({ type: "event", level, message, fields });
}

function start({
  configuration,
  identity,
  accounts,
  orders,
}: Extract<AcmeServerOrder, { type: "start" }>): void {
  const registry = new Registry({ accounts, orders }, ask);
  const validator = new Validator(registry, configuration.httpPort, say);
  const protocol = new Protocol({
    registry,
    orders: new Orders({ registry, validator, ask, say, names: configuration.names }),
    hosts: configuration.hosts,
  });
  server = createListener(configuration, identity, protocol, say);
  server.once("error", (error) =>
    report({ type: "broken", code: systemErrorCode(error) ?? messageOf(error) }),
  );
  server.listen(configuration.listen, () => report({ type: "listening" }));
  setInterval(() => {
    registry
      .clean()
      .catch((error: unknown) => say("warn", "old orders were not removed", { cause: messageOf(error) }));
  }, CLEANING).unref();
}

process.on("message", (order: AcmeServerOrder) => {
  if (order.type === "start") return start(order);
  if (order.type === "identity") {
    const { chain, key } = order.identity;
    server?.setSecureContext({ ...TLS_POLICIES.intermediate, cert: chain, key });
    return;
  }
  const waiter = waiting.get(order.id);
  waiting.delete(order.id);
  if (order.type === "done") waiter?.resolve(order.value);
  else waiter?.reject(new Error(order.why));
});
process.on("disconnect", () => process.exit(0));
// The terminal's Ctrl-C reaches the whole group; the supervisor decides when this one leaves.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
report({ type: "started" });
