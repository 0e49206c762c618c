import assert from "node:assert/strict";
import { test } from "node:test";
import { AddressList } from "../../src/exchange/address-list.ts";
import { clientAddress } from "../../src/handlers/client-address.ts";

const trusted = new AddressList([{ address: "10.0.0.0", prefix: 8, family: "ipv4" }]);

test("the client is the last address that is no proxy of ours, and what is no address ends the search", () => {
  for (const [forwardedFor, client] of [
    [["192.0.2.1, 10.0.0.2"], "192.0.2.1"],
    [["192.0.2.1", "198.51.100.1:4711"], "198.51.100.1"],
    [["[2001:DB8::1]:80"], "2001:db8::1"],
    [["192.0.2.1, unknown"], "10.0.0.1"],
    // A zone is another machine's name for a line; as an address to write to the app it would be none.
    [["fe80::1%eth0"], "10.0.0.1"],
    [["::ff%ff:192.0.2.1"], "10.0.0.1"],
  ] as const)
    assert.equal(clientAddress("10.0.0.1", forwardedFor, trusted), client, forwardedFor.join());
});
