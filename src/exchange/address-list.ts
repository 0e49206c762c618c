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

  /** A zone, as in fe80::1%eth0, is a machine's own name for a line and belongs to no network. */
  has(address: string): boolean {
    const [bare = ""] = address.split("%");
    return this.#list.check(bare, isIPv4(bare) ? "ipv4" : "ipv6");
  }
}
