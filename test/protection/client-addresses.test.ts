import assert from "node:assert/strict";
import { isIPv6 } from "node:net";
import { test } from "node:test";
import * as fc from "fast-check";
import { addressBits, parseNetwork } from "../../src/config/networks.ts";
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
  assert.deepEqual(parseNetwork("10.0.0.0/8"), {
    value: [{ address: "10.0.0.0", prefix: 8, family: "ipv4" }],
  });
  assert.deepEqual(parseNetwork("::1"), { value: [{ address: "::1", prefix: 128, family: "ipv6" }] });
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
    assert.ok("problem" in parseNetwork(wrong), wrong);
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
