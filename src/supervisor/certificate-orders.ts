import { PaddockError } from "../errors.ts";

/** The name that an order on the control socket is about: `{ "name": "example.org" }`. */
export function nameOf(order: unknown): string {
  const name = (order as { name?: unknown } | undefined)?.name;
  if (typeof name === "string" && name !== "") return name;
  throw new PaddockError("ERR_ORDER", "the order names no certificate", {
    fix: "use a name that `paddock certs list` shows",
  });
}
