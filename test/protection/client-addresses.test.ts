import assert from "node:assert/strict";
import { isIPv6 } from "node:net";
import { test } from "node:test";
import * as fc from "fast-check";
import { addressBits, parseClientNetwork } from "../../src/config/networks.ts";
import { AddressList } from "../../src/exchange/address-list.ts";
import { addressKey } from "../../src/handlers/protection/client-key.ts";
import { ConnectionLimit } from "../../src/worker/connection-limit.ts";

void test("reads every form of an IPv6 address as the URL parser does", () => {
  fc.assert(
    fc.property(fc.ipV6(), (address) => {
      assert.ok(isIPv6(address));
      // The URL parser writes the shortest form; both must mean the same bits.
      const canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1);
      assert.equal(addressBits(address), addressBits(canonical));
    }),
  );
  assert.equal(addressBits("2001:db8::1"), 0x20010db8000000000000000000000001n);
  assert.equal(addressBits("::ffff:1.2.3.4"), 0xffff01020304n);
  assert.equal(addressBits("255.0.0.1"), 0xff000001n);
});

void test("an IPv6 client is its /64, an IPv4 client its address", () => {
  assert.equal(addressKey("192.0.2.7"), "192.0.2.7");
  assert.equal(addressKey("2001:db8:1:2::1"), addressKey("2001:db8:1:2:ffff:ffff:ffff:ffff"));
  assert.notEqual(addressKey("2001:db8:1:2::1"), addressKey("2001:db8:1:3::1"));
  assert.equal(addressKey("::ffff:192.0.2.7"), "192.0.2.7");
  assert.equal(addressKey("::ffff:c000:207"), "192.0.2.7");
  assert.equal(addressKey("fe80::1%eth0"), addressKey("fe80::2"));
});

void test("a network is an address with or without a prefix, or all", () => {
  assert.deepEqual(parseClientNetwork("10.0.0.0/8"), { value: ["10.0.0.0/8"] });
  assert.deepEqual(parseClientNetwork("::1"), { value: ["::1"] });
  assert.deepEqual(parseClientNetwork("all"), { value: ["0.0.0.0/0", "::/0"] });
  for (const wrong of [
    "",
    "10.0.0.0/",
    "10.0.0/8",
    "10.0.0.0/-1",
    "1.2.3.4/8",
    "fe80::1%eth0",
    "::/129",
    "ALL",
  ])
    assert.ok("problem" in parseClientNetwork(wrong), wrong);
});

void test("an IPv4 client is in an IPv4 network however it is written, and in no other", () => {
  const list = new AddressList(["192.0.2.0/24", "2001:db8::/32"]);
  for (const address of ["192.0.2.7", "::ffff:192.0.2.7", "::ffff:c000:207", "2001:db8:ffff::1"])
    assert.ok(list.has(address), address);
  for (const address of ["192.0.3.7", "::ffff:192.0.3.7", "::192.0.2.7", "2001:db9::1"])
    assert.ok(!list.has(address), address);
});

void test("connections are counted over all workers that told of theirs", () => {
  const limit = new ConnectionLimit();
  limit.configure({ connectionsPerAddress: 4 }, 2);
  assert.ok(limit.opened("192.0.2.1") && limit.opened("192.0.2.1"));
  assert.deepEqual(limit.report(0), { "192.0.2.1": 2 });
  assert.equal(limit.report(1), null);
  assert.deepEqual(limit.report(2000), { "192.0.2.1": 2 }, "told again for a worker that is new");
  limit.setElsewhere(1, { "192.0.2.1": 1 });
  assert.ok(limit.opened("192.0.2.1"));
  assert.ok(!limit.opened("192.0.2.1"));
  assert.ok(limit.opened("192.0.2.2"), "another client has its own count");
  limit.setElsewhere(1, {});
  assert.ok(limit.opened("192.0.2.1"));
  assert.ok(!limit.opened("192.0.2.1"));
  for (let open = 0; open < 4; open++) limit.closed("192.0.2.1");
  assert.ok(limit.opened("192.0.2.1"));
});
