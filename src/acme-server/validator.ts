import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../errors.ts";
import { validateHttp01 } from "./http-01.ts";
import { AcmeRefusal } from "./problem.ts";
import type { AuthorizationRecord, OrderRecord } from "./records.ts";
import type { Registry } from "./registry.ts";

/** Milliseconds before each try: what was just started may not listen yet (RFC 8555 §8.2). */
const TRIES = [0, 1000, 3000];
/** At once; the others wait. */
const MOST = 16;

type Say = (level: "info" | "warn", message: string, fields: object) => void;

/** Proves names, each once: asked for by a client, or left over from before a restart. */
export class Validator {
  readonly #registry: Registry;
  readonly #port: number;
  readonly #say: Say;
  readonly #under = new Set<string>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(registry: Registry, port: number, say: Say) {
    this.#registry = registry;
    this.#port = port;
    this.#say = say;
    for (const order of registry.unfinished())
      order.authorizations.forEach(({ asked, status }, index) => {
        if (asked && status === "pending") this.begin(order.id, index);
      });
  }

  /** Settles the authorization some time later; its state is in the registry then. */
  begin(orderId: string, index: number): void {
    const key = `${orderId} ${index}`;
    if (this.#under.has(key)) return;
    this.#under.add(key);
    void this.#validate(orderId, index)
      .catch((error: unknown) =>
        this.#say("warn", "a validation was not finished, and is taken up at the next start", {
          cause: messageOf(error),
        }),
      )
      .finally(() => this.#under.delete(key));
  }

  async #validate(orderId: string, index: number): Promise<void> {
    const order = this.#registry.order(orderId);
    const authorization = order?.authorizations[index];
    const account = order === undefined ? undefined : this.#registry.account(order.account);
    if (authorization === undefined || account === undefined) return;
    const { identifier, token } = authorization;
    let refusal: AcmeRefusal | null = null;
    await this.#begun();
    try {
      for (const wait of TRIES) {
        await sleep(wait, undefined, { ref: false });
        refusal = await tried(() =>
          validateHttp01(identifier, token, `${token}.${account.thumbprint}`, this.#port),
        );
        if (refusal === null) break;
      }
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
    const name = identifier.value;
    if (refusal === null) this.#say("info", `${name} is proven`, { account: account.id });
    else this.#say("warn", `${name} is not proven: ${refusal.message}`, { account: account.id });
    await this.#registry.updateOrder(orderId, (current) => settled(current, index, refusal));
  }

  async #begun(): Promise<void> {
    if (this.#running >= MOST) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running += 1;
  }
}

async function tried(act: () => Promise<void>): Promise<AcmeRefusal | null> {
  try {
    await act();
    return null;
  } catch (error) {
    if (error instanceof AcmeRefusal) return error;
    throw error;
  }
}

function settled(order: OrderRecord, index: number, refusal: AcmeRefusal | null): OrderRecord {
  const change = (authorization: AuthorizationRecord): AuthorizationRecord =>
    // The client may have given it up in the meantime.
    authorization.status !== "pending"
      ? authorization
      : refusal === null
        ? { ...authorization, status: "valid", validatedAt: Date.now() }
        : { ...authorization, status: "invalid", error: refusal.document };
  return {
    ...order,
    authorizations: order.authorizations.map((each, at) => (at === index ? change(each) : each)),
  };
}
