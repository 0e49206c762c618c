/**
 * @peculiar/x509, with the two functions of the Reflect metadata proposal that its dependency container asks
 * for at import. The usual polyfill is a package of its own that patches ten functions; these two suffice.
 * Import x509 from here only: the order of the two statements matters, and static imports would be hoisted.
 */
const metadata = new WeakMap<object, Map<unknown, unknown>>();

const own = (key: unknown, target: object): unknown => metadata.get(target)?.get(key);

const polyfill = {
  getMetadata(key: unknown, target: object): unknown {
    for (let at: object | null = target; at !== null; at = Object.getPrototypeOf(at) as object | null) {
      const value = own(key, at);
      if (value !== undefined) return value;
    }
    return undefined;
  },
  getOwnMetadata: own,
  defineMetadata(key: unknown, value: unknown, target: object): void {
    let entries = metadata.get(target);
    if (entries === undefined) metadata.set(target, (entries = new Map()));
    entries.set(key, value);
  },
};

if (!("getMetadata" in Reflect)) Object.assign(Reflect, polyfill);

export const x509 = await import("@peculiar/x509");
