import { orderStatus, type AccountRecord, type OrderRecord } from "./records.ts";

/** Where things are, below the address that the client called. */
export const PATHS = {
  newNonce: "/acme/new-nonce",
  newAccount: "/acme/new-account",
  newOrder: "/acme/new-order",
  revokeCert: "/acme/revoke-cert",
  keyChange: "/acme/key-change",
} as const;

export function directory(base: string): object {
  return {
    ...Object.fromEntries(Object.entries(PATHS).map(([name, path]) => [name, base + path])),
    meta: { externalAccountRequired: false },
  };
}

export function accountUrl(base: string, id: string): string {
  return `${base}/acme/account/${id}`;
}

export function orderUrl(base: string, id: string): string {
  return `${base}/acme/order/${id}`;
}

export function authorizationUrl(base: string, order: string, index: number): string {
  return `${base}/acme/authorization/${order}/${index}`;
}

/** RFC 8555 §7.1.2. */
export function accountObject(base: string, { id, status, contact }: AccountRecord): object {
  return { status, contact, orders: `${accountUrl(base, id)}/orders` };
}

/** RFC 8555 §7.1.3. */
export function orderObject(base: string, order: OrderRecord, finalizing: boolean): object {
  const failed = order.authorizations.find(({ error }) => error !== null);
  const status = orderStatus(order, finalizing, Date.now());
  return {
    status,
    expires: time(order.expires),
    identifiers: order.authorizations.map(({ identifier }) => identifier),
    authorizations: order.authorizations.map((_, index) => authorizationUrl(base, order.id, index)),
    finalize: `${orderUrl(base, order.id)}/finalize`,
    ...(failed === undefined ? {} : { error: failed.error }),
    ...(order.certificate === null ? {} : { certificate: `${base}/acme/certificate/${order.id}` }),
  };
}

/** RFC 8555 §7.1.4, with the one challenge that it has. */
export function authorizationObject(base: string, order: OrderRecord, index: number): object | null {
  const authorization = order.authorizations[index];
  if (authorization === undefined) return null;
  const { identifier, status } = authorization;
  const expired = status === "pending" && order.expires <= Date.now();
  return {
    identifier,
    status: expired ? "expired" : status,
    expires: time(order.expires),
    challenges: [challengeObject(base, order, index)],
  };
}

/** RFC 8555 §8.3. */
export function challengeObject(base: string, order: OrderRecord, index: number): object | null {
  const authorization = order.authorizations[index];
  if (authorization === undefined) return null;
  const { status, token, asked, validatedAt, error } = authorization;
  return {
    type: "http-01",
    url: `${base}/acme/challenge/${order.id}/${index}`,
    token,
    status: status === "deactivated" ? "invalid" : status === "pending" && asked ? "processing" : status,
    ...(validatedAt === null ? {} : { validated: time(validatedAt) }),
    ...(error === null ? {} : { error }),
  };
}

function time(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
