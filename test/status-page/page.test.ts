/** What the page says of a certificate, whoever had a say in the sentences. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CertificateStatus } from "../../src/certificates/status.ts";
import { statusPage } from "../../src/status-page/page.ts";

const WAITING: CertificateStatus = {
  name: "shop.example.org",
  names: ["shop.example.org"],
  issuer: "ca.example",
  state: "failing",
  waitingFor: null,
  notBefore: null,
  notAfter: null,
  issuedAt: null,
  fingerprint: null,
  nextAttempt: null,
  nextReason: null,
  failures: 1,
  lastError: { message: "the CA found <nobody> on port 80", at: 0 },
  warnings: ['shop.example.org, A 192.0.2.1, port 80: "<script>"'],
  serving: "temporary",
  rehearsal: null,
};

const lastCell = (certificate: CertificateStatus): string => {
  const status = {
    version: "1",
    startedAt: 0,
    ready: false,
    certificates: [certificate],
    sites: [],
    workers: [],
  };
  const page = statusPage(status, new Map());
  return /What to know.*?<\/thead><tbody><tr>.*<td>([^]*?)<\/td><\/tr>/.exec(page)?.[1] ?? "";
};

void test("shows the last error and what the look before the first order found, as text", () => {
  assert.equal(
    lastCell(WAITING),
    "the CA found &#60;nobody&#62; on port 80<br>seen from here: shop.example.org, A 192.0.2.1, port 80: &#34;&#60;script&#62;&#34;",
  );
});

void test("shows a rehearsal that failed, and one that passed not", () => {
  const rehearsal = { at: 0, issuer: "staging.example", outcome: "failed", error: "no route" } as const;
  const quiet = { ...WAITING, lastError: null, warnings: [] };
  assert.equal(lastCell({ ...quiet, rehearsal }), "rehearsal at staging.example failed: no route");
  assert.equal(lastCell({ ...quiet, rehearsal: { ...rehearsal, outcome: "passed" } }), "");
});
