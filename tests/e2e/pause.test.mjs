// A TURN server that pauses while calls have just moved over. Packets of two generations meet then, and Chromium learns
// candidates from them that it ranks above any relay of a later generation.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { openBrowser } from "../harness/browsers.mjs";
import { Coturn } from "../harness/coturn.mjs";
import { timeline } from "../harness/fault-report.mjs";
import { Site } from "../harness/site.mjs";

const CALLS = 6;

/** Seconds that credentials live: each end restarts every few seconds. */
const TTL = 16;

/** ms of the pauses, and between them: some of them come right after a restart, or in it. */
const PAUSES = [4000, 5500, 7000];
const BETWEEN = 9000;

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Opens calls, and resolves once each has moved over at both ends. */
async function open({ calls }) {
  const { SdkCall } = await import("/harness/sdk-call.mjs");
  const { until } = await import("/harness/call.mjs");
  const options = { source: "/credentials" };
  globalThis.calls = await Promise.all(Array.from({ length: calls }, () => SdkCall.open({ shared: false, options })));
  globalThis.moved = (since) => (call) => [0, 1].every((end) =>
    call.heard.some(({ type, session, at }) => type === "restarted" && session === end && at > since));
  await until(() => globalThis.calls.every(globalThis.moved(0)), "all calls moved over", 30_000);
}

/** Waits until each call has moved over at both ends to a credential of after the pause, and ends them. */
async function finish({ since }) {
  const { until } = await import("/harness/call.mjs");
  const problem = await until(() => globalThis.calls.every(globalThis.moved(since)), "all calls moved over again", 60_000).then(() => null, String);
  const moved = globalThis.calls.map(globalThis.moved(since));
  const results = await Promise.all(globalThis.calls.map((call) => call.finish()));
  return results.map((result, index) => ({ problem: moved[index] ? null : problem, timeOrigin: performance.timeOrigin, ...result }));
}

/** What the test looks at; with the story since the last pause of a call that did not move over. */
function outcome({ problem, ends, heard, events, timeOrigin }, since) {
  const from = since - BETWEEN;
  const story = () => timeline({
    heard: heard.filter(({ at }) => at > from),
    events: events.filter(({ at }) => at + timeOrigin > from),
    timeOrigin,
  }, since);
  return {
    problem,
    lost: ends.map(({ lost }) => lost),
    connectionlost: heard.filter(({ type }) => type === "connectionlost").length,
    ...(problem && { story: story() }),
  };
}

describe("a TURN server that pauses", () => {
  let coturn, site, browser;

  before(async () => {
    coturn = await Coturn.start();
    site = await Site.start();
    site.json("/credentials", () => ({ iceServers: coturn.iceServers({ ttl: TTL }), ttl: TTL }));
    browser = await openBrowser("chromium");
  });
  after(async () => {
    await browser?.close();
    await site?.stop();
    await coturn?.stop();
  });

  it("holds up the calls over it, and each moves over to later credentials afterwards", async () => {
    const page = await browser.page(site.page);
    await page.evaluate(open, { calls: CALLS });
    for (const pause of PAUSES) {
      coturn.pause();
      await wait(pause);
      coturn.resume();
      await wait(BETWEEN);
    }
    // A restart may be on its way that gathered before.
    const since = Date.now();
    const results = (await page.evaluate(finish, { since })).map((result) => outcome(result, since));
    assert.deepEqual(results, Array.from({ length: CALLS }, () => ({ problem: null, lost: [0, 0], connectionlost: 0 })));
    assert.deepEqual(page.troubles, []);
    await page.close();
  });
});
