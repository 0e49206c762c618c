import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isLocalName } from "../../src/config/local-names.ts";
import {
  renewalInfoDelay,
  renewalTime,
  retryDelay,
  shortestInterval,
  timeInWindow,
} from "../../src/certificates/renewal-schedule.ts";
import { DAY, HOUR, MINUTE } from "./fixtures.ts";

const lasting = (days: number) => ({ notBefore: 0, notAfter: days * DAY });

void describe("the renewal without renewal information", () => {
  for (const [days, random, expected] of [
    [90, 0, 60],
    [90, 1, 55.5],
    [45, 0, 30],
    [10, 0, 10 * (2 / 3)],
    [9.99, 0, 9.99 / 2],
    [6, 0, 3],
    [6, 1, 2.7],
  ] as const) {
    void it(`of a certificate of ${days} days, with ${random} as chance, is after ${expected.toFixed(2)} days`, () => {
      assert.equal(renewalTime(lasting(days), random), Math.round(expected * DAY));
    });
  }
});

void describe("the renewal with renewal information", () => {
  void it("is a moment of the window", () => {
    const window = { start: 10 * DAY, end: 20 * DAY };
    assert.equal(timeInWindow(window, lasting(90), 0), 10 * DAY);
    assert.equal(timeInWindow(window, lasting(90), 0.25), 12.5 * DAY);
  });

  void it("is never in the last tenth of the lifetime", () => {
    assert.equal(timeInWindow({ start: 200 * DAY, end: 300 * DAY }, lasting(90), 0.5), 81 * DAY);
  });

  void it("leaves time for a long weekend without the CA, where the lifetime has it", () => {
    const late = { start: 6 * DAY, end: 6.5 * DAY };
    assert.equal(timeInWindow(late, lasting(160 / 24), 0), Math.round((80 / 24) * DAY));
    assert.equal(timeInWindow({ start: 44 * DAY, end: 45 * DAY }, lasting(45), 0), 40.5 * DAY);
    assert.equal(timeInWindow({ start: 2 * DAY, end: 2 * DAY }, lasting(160 / 24), 0), 2 * DAY);
  });

  void it("is not asked for more than once a minute, nor less than once a day", () => {
    assert.deepEqual([null, 0, 30 * 1000, 2 * HOUR, 30 * DAY].map(renewalInfoDelay), [
      6 * HOUR,
      MINUTE,
      MINUTE,
      2 * HOUR,
      DAY,
    ]);
  });

  void it("cannot make a loop", () => {
    assert.equal(shortestInterval(lasting(90)), DAY);
    assert.equal(shortestInterval(lasting(1)), DAY / 10);
  });
});

void describe("after failures", () => {
  void it("the attempts are 1, 10 and 100 minutes later, then daily", () => {
    const delays = [1, 2, 3, 4, 5, 50].map((failures) => retryDelay(failures, null, 0, Infinity) / MINUTE);
    assert.deepEqual(delays, [1, 10, 100, 1440, 1440, 1440]);
  });

  void it("chance adds a twentieth at most", () => {
    assert.equal(retryDelay(1, null, 1, Infinity), 1.05 * MINUTE);
  });

  void it("they are closer near the certificate's end, and hourly around it", () => {
    const delays = [30 * DAY, 4 * DAY, 2 * DAY, DAY, 4 * HOUR, MINUTE, -MINUTE, -DAY, -30 * DAY].map(
      (left) => retryDelay(50, null, 0, left) / HOUR,
    );
    assert.deepEqual(delays, [24, 24, 12, 6, 1, 1, 1, 6, 24]);
    assert.equal(retryDelay(1, null, 0, MINUTE), MINUTE, "the first ones stay as close as they are");
  });

  void it("the CA's Retry-After is kept, up to a week and up to half of what is left", () => {
    assert.equal(retryDelay(1, 3 * HOUR, 0, Infinity), 3 * HOUR);
    assert.equal(retryDelay(1, 7 * DAY, 0, Infinity), 7 * DAY);
    assert.equal(retryDelay(1, 3650 * DAY, 0, Infinity), 7 * DAY);
    assert.equal(retryDelay(4, MINUTE, 0, Infinity), DAY);
    assert.equal(retryDelay(1, DAY, 0, 2 * DAY), DAY);
    assert.equal(retryDelay(1, DAY, 0, 10 * HOUR), 5 * HOUR);
    assert.equal(retryDelay(1, DAY, 0, HOUR), HOUR);
  });
});

void describe("names that no public CA certifies", () => {
  for (const name of [
    ..."localhost app.localhost *.localhost app.test *.test db.internal printer.local router.home.arpa *.home.arpa intranet".split(
      " ",
    ),
    ..."127.0.0.1 127.8.8.8 ::1 10.1.2.3 172.31.0.1 192.168.1.1 169.254.1.1 100.64.0.1 fe80::1 fd00::1 LOCALHOST".split(
      " ",
    ),
  ]) {
    void it(`${name} is one`, () => assert.equal(isLocalName(name), true));
  }
  for (const name of [
    ..."example.org www.example.org *.example.org test.example.org localhost.example.org mytest.org notlocal.com".split(
      " ",
    ),
    ..."8.8.8.8 172.32.0.1 100.128.0.1 2001:4860:4860::8888".split(" "),
  ]) {
    void it(`${name} is none`, () => assert.equal(isLocalName(name), false));
  }
});
