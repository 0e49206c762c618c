import { BlockList, isIPv4 } from "node:net";

/** Addresses and networks, such as `10.0.0.0/8` or `2001:db8::/32`; an address alone is a network of one. */
export class AddressList {
  readonly #list = new BlockList();
  readonly isEmpty: boolean;

  /** `entries`: as `config/addresses.ts` accepts them. */
  constructor(entries: readonly string[]) {
    this.isEmpty = entries.length === 0;
    for (const entry of entries) {
      const [address = "", prefix] = entry.split("/");
      const family = isIPv4(address) ? "ipv4" : "ipv6";
      if (prefix === undefined) this.#list.addAddress(address, family);
      else this.#list.addSubnet(address, Number(prefix), family);
    }
  }

  has(address: string): boolean {
    return this.#list.check(address, isIPv4(address) ? "ipv4" : "ipv6");
  }
}
