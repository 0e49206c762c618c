import { lookup } from "node:dns/promises";
import { request, type IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { systemErrorCode } from "../errors.ts";
import { AcmeRefusal } from "./problem.ts";
import type { Identifier } from "./records.ts";

/** Milliseconds for one address, from connecting to the last byte. */
const PATIENCE = 10_000;
/** Bytes; a key authorization has fewer than a hundred. */
const LARGEST = 1024;
const MOST_ADDRESSES = 3;

/**
 * Fetches the answer of http-01 (RFC 8555 §8.3) from the name itself.
 *
 * Redirects are not followed, though the RFC lets a CA do so: whoever asks for a certificate would choose what this
 * machine fetches from its own network. What came is compared and never shown, for the same reason.
 *
 * @throws AcmeRefusal `dns`, `connection`, `incorrectResponse`: why the name is not proven.
 */
export async function validateHttp01(
  identifier: Identifier,
  token: string,
  keyAuthorization: string,
  port: number,
): Promise<void> {
  const addresses = await addressesOf(identifier);
  let refusal = new AcmeRefusal("dns", `${identifier.value} has no address`);
  for (const address of addresses.slice(0, MOST_ADDRESSES)) {
    try {
      const body = await fetchAnswer(identifier, address, token, port);
      if (body.trimEnd() === keyAuthorization) return;
      throw new AcmeRefusal(
        "incorrectResponse",
        `${address} answered with something else than the key authorization`,
      );
    } catch (error) {
      if (!(error instanceof AcmeRefusal)) throw error;
      refusal = error;
    }
  }
  throw refusal;
}

async function addressesOf({ type, value }: Identifier): Promise<string[]> {
  if (type === "ip") return [value];
  try {
    // The system's resolver: local names are often in /etc/hosts, or known to one resolver only.
    return (await lookup(value, { all: true })).map(({ address }) => address);
  } catch (error) {
    throw new AcmeRefusal(
      "dns",
      `${value} has no address here: ${systemErrorCode(error) ?? "unknown error"}`,
    );
  }
}

function fetchAnswer(identifier: Identifier, address: string, token: string, port: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const where = isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`;
  const host = isIP(identifier.value) === 6 ? `[${identifier.value}]` : identifier.value;
  const fail = (error: unknown): void => {
    const why = timeout.aborted
      ? `no answer in ${PATIENCE / 1000} s`
      : (systemErrorCode(error) ?? "broken off");
    reject(error instanceof AcmeRefusal ? error : new AcmeRefusal("connection", `${where}: ${why}`));
  };
  const timeout = AbortSignal.timeout(PATIENCE);
  const outgoing = request({
    host: address,
    port,
    path: `/.well-known/acme-challenge/${token}`,
    headers: { Host: host, "User-Agent": "Paddock-CA", Accept: "*/*" },
    signal: timeout,
    agent: false,
  });
  outgoing.on("error", fail);
  outgoing.on("response", (incoming: IncomingMessage) => {
    let text = "";
    incoming.setEncoding("latin1");
    incoming.on("error", fail);
    incoming.on("data", (part: string) => {
      text += part;
      if (text.length > LARGEST)
        incoming.destroy(new AcmeRefusal("incorrectResponse", `${where} answered at too great a length`));
    });
    incoming.on("end", () => {
      if (incoming.statusCode === 200) resolve(text);
      else
        reject(new AcmeRefusal("incorrectResponse", `${where} answered with status ${incoming.statusCode}`));
    });
  });
  outgoing.end();
  return promise;
}
