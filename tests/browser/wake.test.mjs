// Time in real browsers: sleeps, hidden and frozen pages, throttled timers, and clocks that are set.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { BackForwardCache } from "../harness/back-forward-cache.mjs";
import { BROWSERS } from "../harness/browsers.mjs";
import { setOffline } from "../harness/offline.mjs";
import { Stage } from "../harness/stage.mjs";

/** What a busy machine may add to a moment, in milliseconds. */
const SLACK = 2000;

// Most of the time is spent waiting: the two browsers do it together.
describe("waking up", { concurrency: true }, () => {
  for (const name of BROWSERS) {
    describe(name, { concurrency: 1 }, () => {
      let stage;
      let cache;

      before(async () => {
        stage = await Stage.open(name, { turn: false, browser: { throttled: true } });
        cache = new BackForwardCache(stage.site);
      });
      after(async () => {
        await stage?.close();
      });

      it("a lapse that is noticed on waking up is repaired within a second, by each client at another moment", async (t) => {
        const rounds = await stage.run(async () => {
          const { PageClock } = await import("/harness/page-clock.mjs");
          const clock = new PageClock();
          const { openTurnSession } = await import("/pkg/index.js");
          const { listen } = await import("/harness/sdk-call.mjs");
          const { until } = await import("/harness/call.mjs");
          let serial = 0;
          let fetched = [];
          const source = async ({ reason }) => {
            fetched.push([reason, PageClock.elapsed]);
            return { iceServers: [{ urls: "turn:127.0.0.1", username: `name-${serial++}`, credential: "secret" }], ttl: 600 };
          };
          const sessions = await Promise.all(Array.from({ length: 12 }, () => openTurnSession({ source })));
          const heard = listen(sessions);
          const rounds = [];
          for (const [target, type] of [[document, "visibilitychange"], [window, "pageshow"], [window, "online"], [document, "resume"]]) {
            fetched = [];
            heard.length = 0;
            clock.sleep(3_600_000);
            const statuses = sessions.map((session) => session.state.status);
            const woke = PageClock.elapsed;
            target.dispatchEvent(new Event(type));
            const planned = Math.max(...sessions.map((session) => session.state.refreshAt - Date.now()));
            await until(() => heard.filter(({ type }) => type === "refreshed").length >= sessions.length, `refreshed after ${type}`, 15_000);
            rounds.push({
              type,
              planned,
              statuses: [...new Set(statuses)],
              reasons: fetched.map(([reason]) => reason),
              delays: fetched.map(([, at]) => Math.round(at - woke)),
              told: heard.filter(({ type }) => type === "expired").length,
              expiredFirst: sessions.every((_, index) => {
                const types = heard.filter(({ session }) => session === index).map(({ type }) => type);
                return types.indexOf("expired") < types.indexOf("refreshed");
              }),
              live: sessions.every((session) => session.state.status === "active" && session.state.expiresAt > Date.now() + 500_000),
            });
          }
          for (const session of sessions) await session.close();
          return rounds;
        });
        assert.equal(rounds.length, 4);
        for (const { type, planned, statuses, reasons, delays, told, expiredFirst, live } of rounds) {
          t.diagnostic(`${name}, ${type}: fetched after ${delays.sort((a, b) => a - b).join(" ")} ms`);
          assert.deepEqual(statuses, ["expired"], "the state tells of the lapse before anything happened");
          assert.deepEqual(reasons, Array(12).fill("wake"), type);
          assert.ok(planned <= 1000, `${type}: planned in ${planned} ms`);
          assert.ok(delays.at(-1) <= 1000 + SLACK, `${type}: ${delays}`);
          assert.ok(delays.at(-1) - delays[0] > 150, `${type}: twelve clients at once: ${delays}`);
          assert.equal(told, 12, type);
          assert.ok(expiredFirst && live, type);
        }
      });

      it("waking up before the refresh is due fetches nothing", async () => {
        const result = await stage.run(async () => {
          const { PageClock } = await import("/harness/page-clock.mjs");
          const clock = new PageClock();
          const { openTurnSession } = await import("/pkg/index.js");
          let calls = 0;
          const source = async () => ({ iceServers: [{ urls: "turn:127.0.0.1", username: `name-${calls++}`, credential: "secret" }], ttl: 600 });
          const session = await openTurnSession({ source });
          const { expiresAt, refreshAt } = session.state;
          clock.sleep(200_000);
          for (const [target, type] of [[document, "visibilitychange"], [window, "pageshow"], [window, "online"], [document, "resume"]]) target.dispatchEvent(new Event(type));
          // The repair of a lapse would have come within a second.
          await new Promise((resolve) => setTimeout(resolve, 1500));
          const { expiresAt: expires, refreshAt: refresh, status } = session.state;
          await session.close();
          return { calls, status, moved: [expires - expiresAt, refresh - refreshAt] };
        });
        assert.deepEqual([result.calls, result.status], [1, "active"]);
        for (const moved of result.moved) assert.ok(Math.abs(moved) <= 300, `a deadline moved by ${moved} ms`);
      });

      it("a sleep that no event tells of is noticed by the next timer, which is at most thirty seconds away", async () => {
        const result = await stage.run(async () => {
          const { PageClock } = await import("/harness/page-clock.mjs");
          const clock = new PageClock();
          const { openTurnSession } = await import("/pkg/index.js");
          const { listen } = await import("/harness/sdk-call.mjs");
          const { until } = await import("/harness/call.mjs");
          let calls = 0;
          const source = async () => ({ iceServers: [{ urls: "turn:127.0.0.1", username: `name-${calls++}`, credential: "secret" }], ttl: 600 });
          const session = await openTurnSession({ source });
          const heard = listen([session]);
          const longest = clock.longest;
          clock.sleep(3_600_000);
          clock.fire(20_000);
          await until(() => heard.some(({ type }) => type === "refreshed"), "refreshed");
          await session.close();
          await until(() => heard.at(-1).type === "closed", "closed");
          return { longest, types: heard.map(({ type }) => type), calls };
        });
        assert.ok(result.longest <= 30_000, `a timer of ${result.longest} ms`);
        assert.deepEqual(result.types.filter((type) => type !== "statechange"), ["expired", "refreshed", "closed"]);
        assert.equal(result.calls, 2);
      });

      it("a page that is hidden while its credential ends stays quiet, and is repaired when it is shown", async () => {
        const page = await stage.browser.page(stage.site.page);
        const other = await stage.browser.page(stage.site.page);
        try {
          await page.bringToFront();
          await page.evaluate(async () => {
            const { PageClock } = await import("/harness/page-clock.mjs");
            const clock = new PageClock();
            const { openTurnSession } = await import("/pkg/index.js");
            const { listen } = await import("/harness/sdk-call.mjs");
            const session = await openTurnSession({ source: "/turn" });
            const shown = [];
            document.addEventListener("visibilitychange", () => shown.push([document.visibilityState, PageClock.elapsed]));
            const refreshed = new Promise((resolve) => session.addEventListener("refreshed", ({ detail }) => resolve([detail.reason, PageClock.elapsed])));
            Object.assign(globalThis, { clock, session, heard: listen([session]), shown, refreshed });
          });
          const before = stage.requests.length;
          await page.evaluate(() => clock.sleep(3_600_000));
          await other.bringToFront();
          await page.evaluate(() => new Promise((resolve) => {
            if (document.visibilityState === "hidden") resolve();
            document.addEventListener("visibilitychange", resolve);
          }));
          const hidden = await page.evaluate(async () => {
            await new Promise((resolve) => setTimeout(resolve, 1500));
            return { shown: shown.map(([state]) => state), types: heard.map(({ type }) => type) };
          });
          assert.deepEqual(hidden, { shown: ["hidden"], types: [] });
          assert.equal(stage.requests.length, before);
          await page.bringToFront();
          const result = await page.evaluate(async () => {
            const [reason, at] = await refreshed;
            const { status } = session.state;
            await session.close();
            return { reason, status, shown: shown.map(([state]) => state), ms: at - shown.at(-1)[1], types: heard.map(({ type }) => type) };
          });
          assert.deepEqual([result.reason, result.status, result.shown], ["wake", "active", ["hidden", "visible"]]);
          assert.ok(result.ms <= 1000 + SLACK, `${result.ms} ms`);
          assert.ok(result.types.includes("expired"));
          assert.equal(stage.requests.length - before, 1);
          assert.deepEqual(page.troubles, []);
        } finally {
          await page.close();
          await other.close();
        }
      });

      it("a page that lay in the back/forward cache while its credential ended is repaired when it is shown", async () => {
        stage.ttl = 2;
        const page = await stage.browser.page(cache.page);
        try {
          const before = stage.requests.length;
          await page.evaluate(async () => {
            const { openTurnSession } = await import("/pkg/index.js");
            const { listen } = await import("/harness/sdk-call.mjs");
            const session = await openTurnSession({ source: "/turn" });
            addEventListener("pageshow", ({ persisted }) => Object.assign(globalThis, { shown: Date.now(), persisted, opened: session.state.expiresAt }));
            const refreshed = new Promise((resolve) => session.addEventListener("refreshed", ({ detail }) => resolve(detail.reason)));
            Object.assign(globalThis, { session, heard: listen([session]), refreshed });
          });
          stage.ttl = 600;
          await cache.leave(page, 3000);
          const result = await page.evaluate(async () => {
            const reason = await refreshed;
            const { status } = session.state;
            const refreshedAt = heard.find(({ type }) => type === "refreshed").at;
            await session.close();
            return { reason, status, persisted, lapsed: shown > opened, ms: refreshedAt - shown, types: heard.map(({ type }) => type) };
          });
          assert.deepEqual([result.persisted, result.lapsed, result.status], [true, true, "active"]);
          assert.ok(result.ms <= 1000 + SLACK, `${result.ms} ms after the page was shown`);
          assert.ok(result.types.indexOf("expired") >= 0 && result.types.indexOf("expired") < result.types.indexOf("refreshed"), `${result.types}`);
          assert.ok(["wake", "scheduled"].includes(result.reason), result.reason);
          assert.equal(stage.requests.length - before, 2, "one to open, one for the lapse");
          assert.deepEqual(page.troubles, []);
        } finally {
          stage.ttl = 600;
          await page.close();
        }
      });

      for (const { asks, then } of [
        { asks: null, then: "cuts a retry wait short" },
        { asks: "120", then: "leaves the wait that the backend asked for" },
      ]) {
        it(`coming online ${then}`, async () => {
          let good = true;
          let answered = 0;
          stage.site.on("/turn/down", (_request, response) => {
            answered++;
            if (good) response.writeHead(201, { "content-type": "application/json" }).end(JSON.stringify({ iceServers: stage.iceServers(), ttl: 600 }));
            else response.writeHead(503, asks ? { "retry-after": asks } : {}).end();
          });
          const page = await stage.browser.page(stage.site.page);
          try {
            await page.evaluate(async () => {
              const { openTurnSession } = await import("/pkg/index.js");
              const session = await openTurnSession({ source: "/turn/down" });
              const refreshed = new Promise((resolve) => session.addEventListener("refreshed", ({ detail }) => resolve([detail.reason, Date.now()])));
              addEventListener("online", () => (globalThis.online = Date.now()));
              Object.assign(globalThis, { session, refreshed });
            });
            good = false;
            const planned = await page.evaluate(async () => {
              // The wait is random, up to a minute after the seventh failure: until it is long.
              do await session.refresh().catch(() => {});
              while (session.state.refreshAt - Date.now() < 20_000);
              return session.state.refreshAt;
            });
            good = true;
            const before = answered;
            await setOffline(page, true);
            await setOffline(page, false);
            if (asks) {
              const state = await page.evaluate(async () => {
                await new Promise((resolve) => setTimeout(resolve, 1500));
                return session.state;
              });
              assert.ok(Math.abs(state.refreshAt - planned) < 300, `planned for ${state.refreshAt}, before for ${planned}`);
              assert.equal(answered, before);
            } else {
              const result = await page.evaluate(async () => {
                const [reason, at] = await refreshed;
                const { status, attempts } = session.state;
                return { reason, ms: at - online, status, attempts };
              });
              assert.deepEqual([result.reason, result.status, result.attempts, answered - before], ["wake", "active", 0, 1]);
              assert.ok(result.ms <= 1000 + SLACK, `${result.ms} ms`);
            }
            await page.evaluate(() => session.close());
          } finally {
            await page.close();
          }
        });
      }

      it("a hidden page, whose timers are throttled, still refreshes in time", async (t) => {
        const page = await stage.browser.page(stage.site.page);
        const other = await stage.browser.page(stage.site.page);
        try {
          await other.bringToFront();
          const result = await page.evaluate(async () => {
            const { openTurnSession } = await import("/pkg/index.js");
            const { listen } = await import("/harness/sdk-call.mjs");
            let serial = 0;
            const source = async () => ({ iceServers: [{ urls: "turn:127.0.0.1", username: `name-${serial++}`, credential: "secret" }], ttl: 6 });
            const visibility = [document.visibilityState];
            document.addEventListener("visibilitychange", () => visibility.push(document.visibilityState));
            const session = await openTurnSession({ source });
            const pc = session.createPeerConnection();
            const heard = listen([session]);
            const ends = [session.state.expiresAt];
            const began = performance.now();
            let ticks = 0;
            const ticking = setInterval(() => ticks++, 20);
            await new Promise((resolve) => session.addEventListener("refreshed", ({ detail }) => {
              ends.push(detail.expiresAt);
              if (ends.length > 2) resolve();
            }));
            const rate = (ticks / (performance.now() - began)) * 1000;
            clearInterval(ticking);
            const served = pc.getConfiguration().iceServers[0].username;
            pc.close();
            await session.close();
            const refreshed = heard.filter(({ type }) => type === "refreshed");
            return {
              rate, visibility, served,
              left: refreshed.map(({ at }, index) => ends[index] - at),
              reasons: refreshed.map(({ detail }) => detail.reason),
              types: heard.map(({ type }) => type),
            };
          });
          t.diagnostic(`${name}: ${result.rate.toFixed(1)} timers a second instead of 50; left at each refresh: ${result.left.map(Math.round).join(" ")} ms`);
          assert.deepEqual(result.visibility, ["hidden"]);
          assert.ok(result.rate < 5, `the timers are not throttled: ${result.rate} a second`);
          assert.deepEqual(result.reasons, ["scheduled", "scheduled"]);
          for (const left of result.left) assert.ok(left > 0 && left <= 3100, `${left} ms were left`);
          assert.equal(result.served, "name-2");
          assert.ok(!result.types.includes("expired"));
          assert.deepEqual(page.troubles, []);
        } finally {
          await page.close();
          await other.close();
        }
      });

      it("a life of 31 days, longer than any timer, is waited out without a fetch and without a loop", async () => {
        const results = await stage.run(async () => {
          const { PageClock } = await import("/harness/page-clock.mjs");
          const clock = new PageClock();
          const { openTurnSession } = await import("/pkg/index.js");
          const { listen } = await import("/harness/sdk-call.mjs");
          const { until } = await import("/harness/call.mjs");
          const results = [];
          for (const days of [31, 366]) {
            let calls = 0;
            const ttl = days * 86_400;
            const source = async () => ({ iceServers: [{ urls: "turn:127.0.0.1", username: `name-${calls++}`, credential: "secret" }], ttl });
            clock.timers.length = 0;
            const session = await openTurnSession({ source });
            const heard = listen([session]);
            const { expiresAt, refreshAt } = session.state;
            const planned = expiresAt - refreshAt;
            await new Promise((resolve) => setTimeout(resolve, 1500));
            const waited = { calls, timers: clock.timers.length, longest: clock.longest };
            // The last hour, of which a quarter is over.
            clock.sleep(ttl * 1000 - 2_700_000);
            dispatchEvent(new Event("pageshow"));
            await until(() => heard.some(({ type }) => type === "refreshed"), "refreshed");
            const then = { calls, reason: heard.find(({ type }) => type === "refreshed").detail.reason, expired: heard.some(({ type }) => type === "expired") };
            await session.close();
            results.push({ planned, waited, then });
          }
          return results;
        });
        for (const { planned, waited, then } of results) {
          assert.ok(planned >= 3_600_000 - 300 && planned <= 7_200_000 + 300, `planned ${planned} ms before the end`);
          assert.equal(waited.calls, 1);
          assert.ok(waited.longest <= 30_000, `a timer of ${waited.longest} ms`);
          // The session's, the limit on the app's function, and the test's own.
          assert.ok(waited.timers < 10, `${waited.timers} timers in 1.5 s`);
          assert.deepEqual(then, { calls: 2, reason: "wake", expired: false });
        }
      });

      it("a wall clock that is set back, by seconds or by years, changes nothing", async () => {
        const results = await stage.run(async () => {
          const { PageClock } = await import("/harness/page-clock.mjs");
          const clock = new PageClock();
          const { openTurnSession } = await import("/pkg/index.js");
          const { listen } = await import("/harness/sdk-call.mjs");
          const { until } = await import("/harness/call.mjs");
          const results = [];
          for (const back of [20_000, 10 * 365 * 86_400_000]) {
            let calls = 0;
            const source = async () => ({ iceServers: [{ urls: "turn:127.0.0.1", username: `name-${calls++}`, credential: "secret" }], ttl: 4 });
            const began = PageClock.elapsed;
            const session = await openTurnSession({ source });
            const heard = listen([session]);
            clock.wall -= back;
            dispatchEvent(new Event("pageshow"));
            const { expiresAt, refreshAt, status } = session.state;
            const shown = [expiresAt - Date.now(), refreshAt - Date.now()];
            await until(() => heard.some(({ type }) => type === "refreshed"), "refreshed", 15_000);
            const ms = PageClock.elapsed - began;
            const { reason } = heard.find(({ type }) => type === "refreshed").detail;
            await session.close();
            results.push({ status, shown, ms, reason, calls, expired: heard.some(({ type }) => type === "expired") });
          }
          return results;
        });
        for (const { status, shown, ms, reason, calls, expired } of results) {
          assert.equal(status, "active");
          assert.ok(shown[0] > 2000 && shown[0] <= 4300 && shown[1] > 1000 && shown[1] <= 3300, `shown as ${shown} ms away by the clock as it was set`);
          assert.ok(ms > 1900 && ms < 4000, `refreshed after ${ms} ms`);
          assert.deepEqual([reason, calls, expired], ["scheduled", 2, false]);
        }
      });

      it("a wall clock that is set forth by years counts as a sleep, once, and setting it back again does no harm", async () => {
        const result = await stage.run(async () => {
          const { PageClock } = await import("/harness/page-clock.mjs");
          const clock = new PageClock();
          const { openTurnSession } = await import("/pkg/index.js");
          const { listen } = await import("/harness/sdk-call.mjs");
          const { until } = await import("/harness/call.mjs");
          let calls = 0;
          const source = async () => ({ iceServers: [{ urls: "turn:127.0.0.1", username: `name-${calls++}`, credential: "secret" }], ttl: 600 });
          const session = await openTurnSession({ source });
          const heard = listen([session]);
          const years = 10 * 365 * 86_400_000;
          clock.wall += years;
          dispatchEvent(new Event("pageshow"));
          await until(() => heard.some(({ type }) => type === "refreshed"), "refreshed");
          const forth = { calls, status: session.state.status, left: session.state.expiresAt - Date.now() };
          clock.wall -= years;
          dispatchEvent(new Event("pageshow"));
          await new Promise((resolve) => setTimeout(resolve, 1500));
          const back = { calls, status: session.state.status, left: session.state.expiresAt - Date.now() };
          await session.close();
          return { forth, back, expired: heard.filter(({ type }) => type === "expired").length };
        });
        for (const { calls, status, left } of [result.forth, result.back]) {
          assert.deepEqual([calls, status], [2, "active"]);
          assert.ok(left > 590_000 && left <= 600_300, `${left} ms are left`);
        }
        assert.equal(result.expired, 1);
      });

      it("either clock may stand still: the other one counts", async () => {
        const results = await stage.run(async () => {
          const { openTurnSession } = await import("/pkg/index.js");
          const { listen } = await import("/harness/sdk-call.mjs");
          const clocks = [[Date, "now"], [performance, "now"]];
          const results = [];
          for (const [clock, now] of clocks) {
            const native = clock[now];
            const stands = native.call(clock);
            clock[now] = () => stands;
            let calls = 0;
            const source = async () => ({ iceServers: [{ urls: "turn:127.0.0.1", username: `name-${calls++}`, credential: "secret" }], ttl: 4 });
            const session = await openTurnSession({ source });
            const heard = listen([session]);
            const reason = await new Promise((resolve) => session.addEventListener("refreshed", ({ detail }) => resolve(detail.reason)));
            await session.close();
            clock[now] = native;
            results.push({ reason, calls, bad: heard.filter(({ type }) => ["expired", "refresherror"].includes(type)).length });
          }
          return results;
        });
        for (const result of results) assert.deepEqual(result, { reason: "scheduled", calls: 2, bad: 0 });
      });
    });
  }
});
