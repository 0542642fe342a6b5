// What goes wrong around a call: the backend, the network, the page, the laptop, the TURN server. Each fault meets a live
// relayed call with a session for each end and credentials that live for some seconds, and lasts until both sessions have
// met it. A call that the browser can keep goes on and loses nothing; of one that it cannot keep the app is told, and a
// new connection works at once.
//
// Some faults run at the same time, each on a page and a backend of its own. TURN_WASM_WRITE_DOCS=1 writes docs/faults.md.
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { Backend } from "../harness/backend.mjs";
import { BROWSERS, openBrowser } from "../harness/browsers.mjs";
import { Coturn } from "../harness/coturn.mjs";
import { DemoServer } from "../harness/demo-server.mjs";
import { figures, joined, line, page as docsPage, timeline } from "../harness/fault-report.mjs";
import { Site } from "../harness/site.mjs";

const TTL_SECONDS = 24;
const SLEEP_MS = 30_000;
/** Between the beginnings of two calls: they do not all ask and restart at the same moment. */
const STAGGER_MS = 1000;
const DOCS = new URL("../../docs/faults.md", import.meta.url);
const COMMAND = "TURN_WASM_WRITE_DOCS=1 cargo xtask test --only e2e";

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const waitUntil = (moment) => wait(moment - Date.now());

/** Waits until `condition()` holds, for 5 s at the most. */
async function settled(condition) {
  for (const deadline = Date.now() + 5000; Date.now() < deadline && !(await condition()); ) await wait(100);
}

// ---- in the page ----------------------------------------------------------------------------------------------------

async function open(options) {
  const { FaultCall } = await import("/harness/fault-call.mjs");
  globalThis.call = await FaultCall.open(options);
  return globalThis.call.expiries;
}

async function bothHeard({ wanted, within = 30_000 }) {
  const { until } = await import("/harness/call.mjs");
  const { heard } = globalThis.call.sdk;
  await until(() => [0, 1].every((end) => heard.some(({ type, session }) => type === wanted && session === end)), `${wanted} at both ends`, within);
}

async function settleAndFinish(options) {
  const problem = await globalThis.call.settle(options);
  return { problem, ...(await globalThis.call.finish()) };
}

async function openFarEnd(options) {
  const { FarEnd } = await import("/harness/far-end.mjs");
  globalThis.end = await FarEnd.open(options);
  return globalThis.end.expiresAt;
}

// ---- the faults -----------------------------------------------------------------------------------------------------

/**
 * A page with a call in it. A fault's `run` opens it, does what goes wrong, and returns when that began and ended:
 * `{from, to}`, ms since the epoch, and what else its `check` looks at.
 */
class Trial {
  constructor(stage) {
    this.stage = stage;
  }

  async open({ browser = this.stage.browser, ttl = TTL_SECONDS, steady = false, source, url } = {}) {
    this.page = await browser.page(url ?? this.stage.backends.get(this).page);
    const options = { source: source ?? { url: "/credentials", body: { ttl } } };
    const expiries = await this.page.evaluate(open, { options, steady });
    /** The first credentials' end, of the session whose ends first. */
    this.expiresAt = Math.min(...expiries);
    /** By now both sessions have asked for the next one. */
    this.askedAt = Math.max(...expiries) - (ttl * 1000) / 4 + 500;
  }

  get backend() {
    return this.stage.backends.get(this);
  }
}

/** The call lives, and nothing is lost. */
function goesOn({ result, row }) {
  assert.equal(result.problem, null);
  assert.equal(row.outcome, "goes on");
  for (const [index, end] of result.ends.entries()) {
    assert.deepEqual(end.errors, [], `signalling errors at end ${index}`);
    assert.equal(end.lost, 0, `messages of end ${index}: lost`);
    assert.equal(end.received, end.sent, `messages of end ${index}: received`);
    assert.equal(end.repeated, 0, `messages of end ${index}: repeated`);
  }
}

/** The same, nobody noticed, and no session was without a live credential. */
function withoutInterruption({ result, row }) {
  goesOn({ result, row });
  assert.equal(row.without, 0, "a session was without a live credential");
  const interruptions = result.events.filter(({ what, value }) => what === "connectionState" && ["disconnected", "failed"].includes(value));
  assert.deepEqual(interruptions, [], "the path was interrupted");
  assert.ok(row.gap < 2000, `a gap of ${row.gap} ms`);
}

/** The call goes on, or each end that was told could make a new connection at that moment, and it connected. */
function goesOnOrIsReplaced({ result, row }) {
  if (!result.anew) return goesOn({ result, row });
  for (const told of result.anew.told.filter(Boolean)) assert.ok(told.servers, "connectionlost was told while no live credential was held");
  assert.equal(result.anew.problem, null);
  assert.ok(result.anew.ms < 5000, `the new connection took ${result.anew.ms} ms`);
}

const errors = ({ result, from }) => result.heard.filter(({ at, type }) => at >= from && type === "refresherror");

const SOON_AWAKE = {
  what: "messages flow again within 15 s of the awakening",
  check: ({ row }) => assert.ok(row.gap < SLEEP_MS + 15_000, `a gap of ${row.gap} ms`),
};

const FAULTS = [
  {
    what: "backend killed and restarted",
    how: "its process is killed; it comes back when a bit less than a quarter of the credential's life (24 s) is left",
    async run(trial) {
      await trial.open();
      const from = Date.now();
      await trial.backend.kill();
      await waitUntil(trial.askedAt);
      await trial.backend.restart();
      return { from, to: Date.now() };
    },
    check(told) {
      withoutInterruption(told);
      for (const session of [0, 1]) {
        assert.ok(errors(told).some((event) => event.session === session && event.detail.error.code === "network"), `session ${session} did not meet the fault`);
      }
    },
  },
  {
    what: "backend away for longer than the life",
    how: "the same, but it comes back 2 s after the last credential (24 s) ended",
    async run(trial) {
      await trial.open();
      const from = Date.now();
      await trial.backend.kill();
      await waitUntil(trial.askedAt + (TTL_SECONDS * 1000) / 4 + 1500);
      await trial.backend.restart();
      return { from, to: Date.now() };
    },
    check(told) {
      for (const session of [0, 1]) {
        assert.ok(told.result.heard.some(({ type, session: whose }) => type === "expired" && whose === session), `session ${session} did not tell that its credential ended`);
      }
      assert.ok(told.row.without < 15_000, `a session was without a live credential for ${told.row.without} ms, though the backend was back after 2 s`);
      goesOnOrIsReplaced(told);
    },
  },
  {
    what: "429 with Retry-After",
    how: "every request is answered with 429 and `Retry-After: 2`, until both ends have met it; a credential lives for 24 s",
    async run(trial) {
      await trial.open();
      const from = Date.now();
      await trial.backend.misbehave({ status: 429, headers: { "retry-after": "2" } });
      await trial.page.evaluate(bothHeard, { wanted: "refresherror" });
      await trial.backend.misbehave();
      return { from, to: Date.now() };
    },
    check(told) {
      withoutInterruption(told);
      const met = errors(told);
      for (const session of [0, 1]) {
        const own = met.filter((event) => event.session === session);
        assert.ok(own.some(({ detail }) => detail.error.status === 429), `session ${session} did not meet the fault`);
        for (const { at, detail } of own) {
          assert.ok(detail.retryAt - at > 1900, `session ${session} plans to come back after ${detail.retryAt - at} ms`);
        }
      }
    },
  },
  {
    what: "429 with a Retry-After of an hour",
    how: "the same with `Retry-After: 3600`, of credentials that live for 60 s: the package comes back in the second half of what they have left, and 5 s before they end at the latest",
    async run(trial) {
      await trial.open({ ttl: 60 });
      const from = Date.now();
      await trial.backend.misbehave({ status: 429, headers: { "retry-after": "3600" } });
      await trial.page.evaluate(bothHeard, { wanted: "refresherror", within: 60_000 });
      await trial.backend.misbehave();
      return { from, to: Date.now() };
    },
    check(told) {
      withoutInterruption(told);
      for (const session of [0, 1]) {
        const own = errors(told).filter((event) => event.session === session);
        assert.deepEqual(own.map(({ detail }) => detail.error.status), [429], `session ${session}`);
        const [{ at, detail }] = own;
        const [left, had] = [detail.retryAt, at].map((moment) => told.result.expiries[session] - moment);
        const plan = `session ${session}, told so ${had} ms before its credential ends, plans to come back ${left} ms before`;
        assert.ok(left > 4900 && left < had / 2 + 100, plan);
      }
    },
    within: 60_000,
  },
  {
    what: "503 for half of the requests",
    how: "every second request is answered with 503, for two lives (24 s) of a credential",
    async run(trial) {
      await trial.open();
      const from = Date.now();
      await trial.backend.misbehave({ status: 503, share: 0.5 });
      await waitUntil(trial.expiresAt + TTL_SECONDS * 1000);
      return { from, to: trial.expiresAt };
    },
    check(told) {
      withoutInterruption(told);
      assert.ok(errors(told).some(({ detail }) => detail.error.status === 503), "nobody met the fault");
    },
  },
  {
    what: "answers delayed by 8 s",
    how: "every answer comes 8 s late, of credentials that live for 40 s",
    async run(trial) {
      await trial.open({ ttl: 40 });
      const from = Date.now();
      await trial.backend.misbehave({ delay: 8000 });
      return { from, to: from };
    },
    within: 60_000,
    check: withoutInterruption,
  },
  {
    what: "network offline and online",
    how: "the browser takes the page off the network (its requests fail, ICE's packets still pass) and back, when a bit less than a quarter of the life (24 s) is left",
    async run(trial) {
      await trial.open();
      const from = Date.now();
      await trial.page.setOfflineMode(true);
      await waitUntil(trial.askedAt);
      await trial.page.setOfflineMode(false);
      return { from, to: Date.now() };
    },
    check(told) {
      withoutInterruption(told);
      for (const session of [0, 1]) {
        assert.ok(errors(told).some((event) => event.session === session && event.detail.error.code === "network"), `session ${session} did not meet the fault`);
        const back = told.result.heard.find(({ at, type, session: whose }) => at > told.to - 100 && type === "refreshed" && whose === session);
        assert.ok(back.at - told.to < 3000, `session ${session} had a credential ${back.at - told.to} ms after the network was back`);
      }
    },
  },
  {
    what: "page hidden",
    how: "another tab is in front for more than two lives (24 s); the browser slows the page's timers down",
    browser: { throttled: true },
    async run(trial, browser) {
      await trial.open({ browser, steady: true });
      const from = Date.now();
      const other = await browser.page("about:blank");
      await other.bringToFront();
      const hidden = await trial.page.evaluate(() => document.visibilityState);
      const ticks = () => trial.page.evaluate(() => globalThis.call.ticks);
      const before = await ticks();
      await waitUntil(trial.expiresAt + 1.5 * TTL_SECONDS * 1000);
      const pace = ((await ticks()) - before) / ((Date.now() - from) / 1000);
      const heard = await trial.page.evaluate(() => globalThis.call.sdk.heard.filter(({ type }) => type === "refreshed").length);
      await trial.page.bringToFront();
      return { from, to: from, hidden, pace, heard };
    },
    check(told) {
      assert.equal(told.hidden, "hidden");
      assert.ok(told.pace < 5, `a timer of 20 ms fired ${told.pace} times a second: the page was not slowed down`);
      assert.ok(told.heard >= 4, `only ${told.heard} refreshes while hidden`);
      withoutInterruption(told);
    },
  },
  {
    what: "laptop asleep",
    how: "all processes of the browser are stopped for 30 s, longer than the credential (24 s) lives, and continued",
    browser: {},
    async run(trial, browser) {
      await trial.open({ browser });
      const from = Date.now();
      browser.pause();
      await wait(SLEEP_MS);
      browser.resume();
      return { from, to: Date.now(), awakeAt: [Date.now(), Date.now()] };
    },
    check(told) {
      for (const session of [0, 1]) {
        assert.ok(told.result.heard.some(({ type, session: whose }) => type === "expired" && whose === session), `session ${session} did not tell that its credential ended`);
      }
      assert.ok(told.row.without < 3000, `a session was awake without a live credential for ${told.row.without} ms`);
      goesOnOrIsReplaced(told);
    },
    also: SOON_AWAKE,
  },
  {
    what: "one of two laptops asleep",
    how: "the same of one end alone, while the other end's browser goes on",
    browser: {},
    backend: false,
    async run(trial, browser) {
      const pages = [];
      for (const [index, where] of [browser, trial.stage.browser].entries()) {
        pages.push(await where.page(trial.stage.server.page));
        await pages[index].evaluate(openFarEnd, { index, room: "asleep", options: { source: "/api/turn-credentials" } });
      }
      const settle = (within) => Promise.all(pages.map((page) => page.evaluate((options) => globalThis.end.settle(options), { within })));
      const problem = (problems) => problems.find(Boolean) ?? null;
      assert.equal(problem(await settle(20_000)), null);
      const from = Date.now();
      browser.pause();
      await wait(SLEEP_MS);
      browser.resume();
      const awakeAt = [Date.now(), 0];
      const problems = await settle(70_000);
      await Promise.all(pages.map((page) => page.evaluate(() => globalThis.end.stop())));
      await settled(async () => {
        const [a, b] = await Promise.all(pages.map((page) => page.evaluate(() => globalThis.end.counts)));
        return a.received === b.sent && b.received === a.sent;
      });
      await Promise.all(pages.map((page) => page.evaluate(() => globalThis.end.outOfRestart())));
      const endedAt = Date.now();
      const reports = await Promise.all(pages.map((page) => page.evaluate(() => globalThis.end.finish())));
      trial.page = pages[0];
      return { from, to: awakeAt[0], awakeAt, result: joined(reports, { problem: problem(problems), endedAt }) };
    },
    check: goesOnOrIsReplaced,
    also: SOON_AWAKE,
  },
  {
    what: "an idle call",
    how: "nothing is sent for two and a half lives (24 s), then messages again",
    async run(trial) {
      await trial.open();
      const from = Date.now();
      await trial.page.evaluate(() => globalThis.call.sdk.call.hush());
      await waitUntil(trial.expiresAt + 1.5 * TTL_SECONDS * 1000);
      await trial.page.evaluate(() => globalThis.call.sdk.call.talk());
      return { from, to: from };
    },
    check: withoutInterruption,
  },
  {
    what: "TURN server restarted",
    how: "coturn is ended and started anew: it knows nothing of the allocations",
    backend: false,
    async run(trial) {
      const { site, coturn } = trial.stage;
      await trial.open({ url: site.page, source: "/turn" });
      const from = Date.now();
      await coturn.restart();
      return { from, to: from };
    },
    check(told) {
      goesOn(told);
      // As long as the browser takes to notice, and the repair to be sure of both ends.
      assert.ok(told.row.gap < 30_000, `a gap of ${told.row.gap} ms`);
    },
  },
  {
    what: "a second page on the same backend",
    how: "a second page has a call too; after some seconds it revokes its credentials and is closed",
    async run(trial) {
      await trial.open();
      const from = Date.now();
      const other = await trial.stage.browser.page(trial.backend.page);
      const source = { url: "/credentials", body: { ttl: TTL_SECONDS } };
      await other.evaluate(open, { options: { source, revoke: "/credentials/revoke" } });
      await waitUntil(from + 8000);
      const names = await other.evaluate(async () => {
        const { sdk } = globalThis.call;
        await Promise.all(sdk.sessions.map((session) => session.close({ revoke: true })));
        return sdk.usernames;
      });
      await other.close();
      // The time that both ends have to move over counts from `to` on.
      await waitUntil(trial.expiresAt);
      return { from, to: trial.expiresAt, names };
    },
    check(told) {
      withoutInterruption(told);
      assert.deepEqual(told.result.usernames.filter((name) => told.names.includes(name)), []);
      const reasons = told.result.heard.filter(({ type }) => type === "refreshed").map(({ detail }) => detail.reason);
      assert.ok(reasons.every((reason) => reason === "scheduled"), `refreshed: ${reasons}`);
    },
  },
];

/** What the faults of one browser share. */
class FaultStage {
  backends = new Map();
  browsers = [];

  async open(name) {
    this.name = name;
    this.server = await DemoServer.start({ ttl: TTL_SECONDS });
    this.site = await Site.start();
    this.coturn = await Coturn.start();
    this.site.json("/turn", () => ({ iceServers: this.coturn.iceServers({ ttl: TTL_SECONDS }), ttl: TTL_SECONDS }));
    this.browser = await this.openBrowser();
    this.version = await this.browser.version();
  }

  async openBrowser(options) {
    const browser = await openBrowser(this.name, options);
    this.browsers.push(browser);
    return browser;
  }

  async run(fault) {
    const trial = new Trial(this);
    if (fault.backend !== false) this.backends.set(trial, await Backend.start(this.server.origin));
    const browser = fault.browser ? await this.openBrowser(fault.browser) : this.browser;
    const met = await fault.run(trial, browser);
    const result = met.result ?? await trial.page.evaluate(settleAndFinish, { since: met.to, within: fault.within ?? 30_000 });
    const uncaught = trial.page.troubles.filter((trouble) => trouble.startsWith("uncaught") && !trouble.includes("WebRTC: ICE failed"));
    return { ...met, result, uncaught, row: figures(result, met) };
  }

  async close() {
    await Promise.all(this.browsers.map((browser) => browser.close()));
    await Promise.all([...this.backends.values()].map((backend) => backend.stop()));
    await this.site?.stop();
    await this.coturn?.stop();
    await this.server?.stop();
  }
}

/** Holds a fault to `check`, and tells the whole story if it does not. */
function judge(t, told, check) {
  try {
    check(told);
  } catch (error) {
    for (const text of timeline(told.result, told.from)) t.diagnostic(text);
    throw error;
  }
}

// A third of one browser's calls run at the same time: two cores have no room for many more. With twelve Firefox's answers to ICE's
// consent checks come late at times, and it calls a path disconnected for some milliseconds.
describe("faults around a call", { concurrency: 1 }, () => {
  const table = [];

  for (const name of BROWSERS) {
    describe(name, { concurrency: 1 }, () => {
      const stage = new FaultStage();
      const runs = new Map();

      before(async () => {
        await stage.open(name);
        for (const third of [0, 1, 2]) {
          for (const [index, fault] of FAULTS.entries()) {
            if (index % 3 !== third) continue;
            const run = wait(index * STAGGER_MS).then(() => stage.run(fault));
            run.catch(() => {});
            runs.set(fault, run);
          }
          await Promise.allSettled(runs.values());
        }
      });
      after(async () => {
        await stage.close();
      });

      const rows = [];
      for (const fault of FAULTS) {
        it(fault.what, async (t) => {
          const told = await runs.get(fault);
          rows.push({ what: fault.what, row: told.row });
          t.diagnostic(line(name, fault.what, told.row));
          judge(t, told, () => assert.deepEqual(told.uncaught, []));
          judge(t, told, fault.check);
        });
        if (!fault.also) continue;
        it(`${fault.what}: ${fault.also.what}`, async (t) => judge(t, await runs.get(fault), fault.also.check));
      }
      after(() => {
        table.push({ name, version: stage.version, rows });
      });
    });
  }

  after(async () => {
    if (process.env.TURN_WASM_WRITE_DOCS !== "1") return;
    assert.ok(table.length === 2 && table.every(({ rows }) => rows.length === FAULTS.length), "docs/faults.md holds both browsers and all faults");
    table.sort((a, b) => a.name.localeCompare(b.name));
    await writeFile(DOCS, docsPage({ browsers: table, faults: FAULTS, command: COMMAND }));
  });

  it("docs/faults.md shows these faults", { skip: process.env.TURN_WASM_WRITE_DOCS === "1" }, async () => {
    const text = await readFile(DOCS, "utf8");
    for (const { what, how } of FAULTS) assert.ok(text.includes(`| ${what} | ${how} |`), what);
    assert.ok(text.includes(COMMAND));
  });
});
