import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { BodyRate } from "../../src/exchange/body-rate.ts";
import { Deadlines } from "../../src/exchange/deadlines.ts";
import { WriteWatch } from "../../src/http2/write-watch.ts";

const SPAN = 10_000;

describe("a stream that waits to send", () => {
  const deadlines = new Deadlines();
  after(() => deadlines.close());

  /** A session with `waiting` streams, of which the first is watched. */
  function watched(waiting: number): {
    session: { sent: number; waiting: number; suspected: number; suspect(): void };
    watch: WriteWatch;
    given: () => number;
  } {
    const session = {
      sent: 1_000_000,
      waiting: waiting - 1,
      suspected: 0,
      suspect: () => void session.suspected++,
    };
    let givenUp = 0;
    const watch = new WriteWatch(session, deadlines, SPAN, () => givenUp++);
    watch.begin();
    assert.equal(session.waiting, waiting);
    return { session, watch, given: () => givenUp };
  }

  test("is given up where the session sends nothing, and the socket is suspected", () => {
    const { session, watch, given } = watched(3);
    watch.expire(Date.now());
    assert.equal(given(), 1);
    assert.equal(session.suspected, 1);
    assert.equal(session.waiting, 2);
    assert.equal(watch.deadline, Infinity);
  });

  test("is given up where the session sends less than 1 KB/s, which clears the socket", () => {
    const { session, watch, given } = watched(1);
    session.sent += 10 * 1024 - 1;
    watch.expire(Date.now());
    assert.equal(given(), 1);
    assert.equal(session.suspected, 0);
  });

  test("waits its turn on a slow line", () => {
    const { session, watch, given } = watched(10);
    for (let span = 0; span < 20; span++) {
      session.sent += 200 * 1024;
      const now = Date.now();
      watch.expire(now);
      assert.equal(watch.deadline, now + SPAN);
    }
    assert.equal(given(), 0);
    watch.end();
    assert.equal(session.waiting, 9);
  });

  test("is given up when each that waits has had its turn", () => {
    const { session, watch, given } = watched(10);
    session.sent += 10 * 512 * 1024;
    watch.expire(Date.now());
    assert.equal(given(), 1);
  });

  test("counts anew after it has sent", () => {
    const { session, watch, given } = watched(1);
    session.sent += 300 * 1024;
    watch.expire(Date.now());
    watch.end();
    watch.begin();
    session.sent += 300 * 1024;
    watch.expire(Date.now());
    assert.equal(given(), 0);
    assert.equal(session.waiting, 1);
    watch.end();
  });
});

test("a request body is fast enough at 1 KB/s in each span", () => {
  const rate = new BodyRate(20_000);
  rate.count(10 * 1024);
  rate.count(10 * 1024);
  assert.equal(rate.fastEnough(), true);
  rate.count(20 * 1024 - 1);
  assert.equal(rate.fastEnough(), false);
  rate.count(20 * 1024);
  rate.restart();
  assert.equal(rate.fastEnough(), false, "what came before a pause does not count after it");
});
