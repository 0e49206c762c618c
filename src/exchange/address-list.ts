import { BlockList, isIPv4 } from "node:net";
import type { NetworkConfiguration } from "../config/configuration.ts";

/** Whether an address is in one of several networks. */
export class AddressList {
  readonly #list = new BlockList();
  readonly isEmpty: boolean;

  constructor(networks: readonly NetworkConfiguration[]) {
    this.isEmpty = networks.length === 0;
    for (const { address, prefix, family } of networks) this.#list.addSubnet(address, prefix, family);
  }

  /** `address`: as the worker has it, IPv4 as itself and IPv6 without a zone. */
  has(address: string): boolean {
    return this.#list.check(address, isIPv4(address) ? "ipv4" : "ipv6");
  }
}
