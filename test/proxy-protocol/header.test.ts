import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readProxyHeader } from "../../src/proxy-protocol/read.ts";
import { proxyHeader } from "../../src/proxy-protocol/write.ts";

const line = (text: string): ReturnType<typeof readProxyHeader> =>
  readProxyHeader(Buffer.from(text, "latin1"));
const SIGNATURE = "0d0a0d0a000d0a515549540a";
const binary = (hex: string): ReturnType<typeof readProxyHeader> =>
  readProxyHeader(Buffer.from(SIGNATURE + hex, "hex"));

test("version 1 by the specification's own examples", () => {
  assert.deepEqual(line("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\nGET /"), {
    address: "255.255.255.255",
    length: 56,
  });
  assert.deepEqual(line("PROXY TCP6 2001:DB8::1 ::1 1 443\r\n"), { address: "2001:db8::1", length: 34 });
  assert.deepEqual(line("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 443\r\n"), { address: "192.0.2.1", length: 39 });
  assert.deepEqual(line("PROXY UNKNOWN\r\n"), { address: null, length: 15 });
  assert.deepEqual(line("PROXY UNKNOWN ffff::1 what ever\r\n"), { address: null, length: 33 });
});

for (const bad of [
  "GET / HTTP/1.1\r\n",
  "PROXX",
  "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
  "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
  "PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
  "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
  "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
  "PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n",
  "PROXY TCP4 ::1 ::1 1 2\r\n",
  "PROXY TCP6 1.2.3.4 ::1 1 2\r\n",
  "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
  "PROXY TCP6 ::ff%ff:192.0.2.1 ::1 1 65535\r\n",
  "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
  "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
  `PROXY TCP4 ${"1".repeat(120)}`,
  "\r\n\r\n\0\r\nQUIX",
]) {
  test(`refuses ${JSON.stringify(bad.slice(0, 40))}`, () => {
    // What is only the beginning of something right may go on; with its end it is wrong.
    const answer = line(bad);
    assert.equal(answer === "incomplete" ? line(`${bad}\r\n`) : answer, "invalid");
  });
}

test("version 2: addresses, LOCAL, TLVs, and what is refused", () => {
  assert.deepEqual(binary("2111000cc0000201c000020200501f90"), { address: "192.0.2.1", length: 28 });
  assert.deepEqual(binary(`2121002420010db8${"0".repeat(22)}01${"0".repeat(30)}01005001bb`), {
    address: "2001:db8::1",
    length: 52,
  });
  assert.deepEqual(binary("20000000"), { address: null, length: 16 });
  assert.deepEqual(binary("21000000"), { address: null, length: 16 }, "UNSPEC");
  assert.deepEqual(binary("2111000fc0000201c000020200501f90040000"), { address: "192.0.2.1", length: 31 });
  for (const bad of ["3111000c", "2211000c", "2111000b", "21110fff", "21310000", "2112000c"])
    assert.equal(binary(bad.padEnd(200, "0")), "invalid", bad);
});

test("what is written is read again, in any split, and a beginning is never more than incomplete", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.ipV4(), fc.ipV6()),
      fc.constantFrom(1 as const, 2 as const),
      fc.uint8Array({ maxLength: 20 }),
      (address, version, rest) => {
        const header = proxyHeader(version, address);
        const whole = Buffer.concat([header, rest]);
        const read = readProxyHeader(whole);
        assert.ok(typeof read === "object");
        assert.equal(read.length, header.length);
        const canonical = address.includes(":")
          ? new URL(`http://[${address}]`).hostname.slice(1, -1)
          : address;
        if (!canonical.startsWith("::ffff:")) assert.equal(read.address, canonical);
        for (let end = 0; end < header.length; end++)
          assert.equal(readProxyHeader(whole.subarray(0, end)), "incomplete");
      },
    ),
  );
});

test("no bytes make it throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, signed) => {
      readProxyHeader(signed ? Buffer.concat([Buffer.from(SIGNATURE, "hex"), bytes]) : Buffer.from(bytes));
    }),
    { numRuns: 2000 },
  );
});
