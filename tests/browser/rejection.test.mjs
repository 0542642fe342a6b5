// What is refused: credentials by the TURN server, fetches by the backend, and both by a network that is gone.
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { after, before, describe, it } from "node:test";
import { BROWSERS } from "../harness/browsers.mjs";
import { Coturn } from "../harness/coturn.mjs";
import { setOffline } from "../harness/offline.mjs";
import { Stage } from "../harness/stage.mjs";

/** What a busy machine may add to a moment, in milliseconds. */
const SLACK = 2000;

/** A TCP port at which nothing listens. */
async function closedPort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Opens a session whose connection meets one candidate error of another kind, and looks at the session right after it. */
async function meetError({ source, own, wanted, late }) {
  const { openTurnSession } = await import("/pkg/index.js");
  const calls = [];
  const answers = [...source];
  const session = await openTurnSession({
    source: async ({ reason }) => {
      calls.push(reason);
      return { iceServers: answers.length > 1 ? answers.shift() : answers[0], ttl: 600 };
    },
  });
  const pc = session.createPeerConnection({ iceTransportPolicy: "relay", iceServers: own });
  // The session has heard of an error before this listener does.
  const met = new Promise((resolve) => pc.addEventListener("icecandidateerror", ({ errorCode, url }) => {
    if (errorCode !== wanted) return;
    const { status, refreshAt } = session.state;
    resolve({ url, calls, status, planned: refreshAt - Date.now() });
  }));
  if (late) {
    // A connection that was left behind with the list before.
    pc.setConfiguration = () => {
      throw new Error("not now");
    };
    await session.refresh();
  }
  pc.createDataChannel("numbers");
  await pc.setLocalDescription();
  const result = await met;
  pc.close();
  await session.close();
  return result;
}

/** Fails unless the next fetch is the scheduled one. */
function assertQuiet({ calls, status, planned }, expected) {
  assert.deepEqual([calls, status], [expected, "active"]);
  assert.ok(planned > 200_000, `the next fetch is planned in ${planned} ms`);
}

// Most of the time is spent waiting: the two browsers do it together.
describe("rejection", { concurrency: true }, () => {
  for (const name of BROWSERS) {
    describe(name, { concurrency: 1 }, () => {
      let stage;
      let foreign;

      before(async () => {
        stage = await Stage.open(name);
        foreign = await Coturn.start();
      });
      after(async () => {
        await foreign?.stop();
        await stage?.close();
      });

      /** Ice servers of the stage's TURN server with a password that is not right. */
      const wrong = () => stage.coturn.iceServers({ ttl: 600 }).map((server) => ({ ...server, credential: "not-the-password" }));
      const right = () => stage.coturn.iceServers({ ttl: 600 });

      for (const { fails, told } of [
        { fails: 0, told: "is replaced at once" },
        { fails: 2, told: "is replaced as soon as the backend answers again" },
      ]) {
        it(`a credential that the TURN server refuses ${told}, and the call gets through`, async () => {
          const result = await stage.run(
            async ({ wrong, right, fails }) => {
              const { SdkCall } = await import("/harness/sdk-call.mjs");
              const calls = [];
              const source = async ({ reason }) => {
                calls.push(reason);
                if (reason === "rejected" && fails-- > 0) throw new Error("not today");
                return { iceServers: calls.length > 1 ? right : wrong, ttl: 600 };
              };
              const call = await SdkCall.open({ options: { source } });
              const codes = call.call.events.filter(({ what }) => what === "icecandidateerror").map(({ errorCode }) => errorCode);
              const types = call.heard.map(({ type, detail }) => [type, detail?.connection ?? detail?.reason ?? null]);
              const { lost } = (await call.finish()).ends[0];
              return { calls, codes, types, lost };
            },
            { wrong: wrong(), right: right(), fails },
            { within: 60_000 },
          );
          assert.ok(result.codes.includes(401), `the errors were ${result.codes}`);
          assert.deepEqual(result.calls, ["initial", ...Array(fails + 1).fill("rejected")]);
          const told = (wanted) => result.types.filter(([type]) => type === wanted).map(([, detail]) => detail);
          assert.deepEqual(told("refreshed"), ["rejected"]);
          assert.deepEqual(told("refresherror"), Array(fails).fill("rejected"));
          assert.deepEqual(told("applied").sort(), [0, 1]);
          const restarts = result.types.map(([type]) => type).indexOf("restarting");
          assert.ok(restarts > result.types.map(([type]) => type).indexOf("applied"), JSON.stringify(result.types));
          assert.ok(!result.types.some(([type]) => ["connectionlost", "restartstalled", "expired"].includes(type)), JSON.stringify(result.types));
          assert.equal(result.lost, 0);
        });
      }

      it("while every credential is refused one is fetched a backoff step at the most, whatever the connections say", async (t) => {
        const result = await stage.run(
          async (wrong) => {
            const { openTurnSession } = await import("/pkg/index.js");
            const calls = [];
            const source = async ({ reason }) => {
              calls.push([reason, performance.now()]);
              return { iceServers: wrong.map((server) => ({ ...server, username: `${server.username}-${calls.length}` })), ttl: 600 };
            };
            const session = await openTurnSession({ source });
            // No two fetches are closer than 250 ms, and the first step counts from the first error.
            await new Promise((resolve) => setTimeout(resolve, 300));
            let errors = 0;
            const gather = async () => {
              const pc = session.createPeerConnection({ iceTransportPolicy: "relay" });
              const met = new Promise((resolve) => pc.addEventListener("icecandidateerror", resolve));
              pc.createDataChannel("numbers");
              await pc.setLocalDescription();
              const { errorCode } = await met;
              if (errorCode === 401) errors++;
              pc.close();
              await new Promise((resolve) => setTimeout(resolve, 100));
            };
            const rejected = () => calls.filter(([reason]) => reason === "rejected");
            while (rejected().length < 3) await Promise.all([gather(), gather(), gather()]);
            await session.close();
            const moments = rejected().map(([, at]) => at);
            return { others: calls.length - rejected().length, gaps: moments.slice(1).map((at, index) => at - moments[index]), errors };
          },
          wrong(),
          { within: 60_000 },
        );
        t.diagnostic(`${name}: ${result.errors} errors, rejected fetches ${result.gaps.map(Math.round).join(" and ")} ms apart`);
        assert.equal(result.others, 1, "beside them the first one");
        assert.ok(result.errors >= 6, `only ${result.errors} errors`);
        assert.ok(result.gaps[0] > 950 && result.gaps[1] > 1950, `${result.gaps} ms apart`);
      });

      it("errors of the app's own servers fetch nothing", async () => {
        const own = foreign.iceServers({ ttl: 600 }).map((server) => ({ ...server, credential: "not-the-password" }));
        const result = await stage.run(meetError, { source: [right()], own, wanted: 401 });
        assertQuiet(result, ["initial"]);
        assert.ok(result.url.includes(`:${foreign.port}`), result.url);
      });

      it("a server that does not answer fetches nothing", async () => {
        const port = await closedPort();
        const [server] = right();
        const source = [[{ ...server, urls: [`turn:127.0.0.1:${port}?transport=tcp`] }]];
        const result = await stage.run(meetError, { source, wanted: 701 });
        assertQuiet(result, ["initial"]);
        assert.ok(result.url.includes(`:${port}`), result.url);
      });

      it("an error of a connection that still has the list before fetches nothing", async () => {
        const result = await stage.run(meetError, { source: [wrong(), right()], wanted: 401, late: true });
        assertQuiet(result, ["initial", "manual"]);
      });

      for (const status of [401, 403, 404]) {
        it(`a backend that answers ${status} is not asked again until the page wakes up or the app asks, and the credential serves on`, async () => {
          let good = 1;
          let asked = 0;
          stage.site.on("/turn/refusing", (_request, response) => {
            asked++;
            if (good-- > 0) response.writeHead(201, { "content-type": "application/json" }).end(JSON.stringify({ iceServers: wrong(), ttl: 600 }));
            else response.writeHead(status).end();
          });
          stage.site.json("/turn/asked", () => asked);
          stage.site.json("/turn/heal", () => (good = 1));
          const result = await stage.run(
            async () => {
              const { openTurnSession } = await import("/pkg/index.js");
              const { until } = await import("/harness/call.mjs");
              const { listen } = await import("/harness/sdk-call.mjs");
              const asked = async () => (await fetch("/turn/asked")).json();
              const session = await openTurnSession({ source: "/turn/refusing" });
              const heard = listen([session]);
              const [{ username }] = session.iceServers;
              const error = await session.refresh().catch((error) => error);
              const { status, refreshAt, attempts, lastError } = session.state;
              const refused = {
                code: error.code, status: error.status, retryable: error.retryable, retryAt: heard.find(({ type }) => type === "refresherror").detail.retryAt,
                state: [status, refreshAt, attempts, lastError.code],
              };
              // Nor does a credential error ask again.
              const pc = session.createPeerConnection({ iceTransportPolicy: "relay" });
              const met = new Promise((resolve) => pc.addEventListener("icecandidateerror", ({ errorCode }) => resolve(errorCode)));
              pc.createDataChannel("numbers");
              await pc.setLocalDescription();
              const met401 = await met;
              // Longer than the backoff step after one failure.
              await new Promise((resolve) => setTimeout(resolve, 1500));
              const quiet = { met401, asked: await asked(), status: session.state.status, serves: session.iceServers[0].username === username, applied: pc.getConfiguration().iceServers[0].username === username };
              dispatchEvent(new Event("pageshow"));
              await until(async () => (await asked()) === 3, "asked after a wake-up");
              await until(() => session.state.status === "refused", "refused again");
              await fetch("/turn/heal");
              await session.refresh();
              const healed = { asked: await asked(), status: session.state.status, fresh: session.iceServers[0].username !== username, planned: session.state.refreshAt !== null };
              pc.close();
              await session.close();
              return { refused, quiet, healed, reasons: heard.filter(({ type }) => type === "refresherror").map(({ detail }) => detail.reason) };
            },
            undefined,
            { expected: [/Failed to load resource/], within: 60_000 },
          );
          assert.deepEqual(result.refused, { code: "http-status", status, retryable: false, retryAt: null, state: ["refused", null, 1, "http-status"] });
          assert.deepEqual(result.quiet, { met401: 401, asked: 2, status: "refused", serves: true, applied: true });
          assert.deepEqual(result.reasons, ["manual", "wake"]);
          assert.deepEqual(result.healed, { asked: 4, status: "active", fresh: true, planned: true });
        });
      }

      for (const [form, retryAfter] of [
        ["as seconds", () => "2"],
        ["as an HTTP date", () => new Date(Date.now() + 3000).toUTCString()],
      ]) {
        it(`429 with Retry-After ${form} is waited out, and no longer than a backoff step more`, async (t) => {
          const moments = [];
          let until;
          stage.site.on("/turn/limited", (_request, response) => {
            moments.push(Date.now());
            if (moments.length !== 2) {
              response.writeHead(201, { "content-type": "application/json" }).end(JSON.stringify({ iceServers: right(), ttl: 600 }));
              return;
            }
            const header = retryAfter();
            until = /^\d+$/.test(header) ? Date.now() + 1000 * Number(header) : Date.parse(header);
            response.writeHead(429, { "retry-after": header }).end();
          });
          const result = await stage.run(
            async () => {
              const { openTurnSession } = await import("/pkg/index.js");
              const session = await openTurnSession({ source: "/turn/limited" });
              const refreshed = new Promise((resolve) => session.addEventListener("refreshed", ({ detail }) => resolve(detail.reason)));
              let retryAt;
              session.addEventListener("refresherror", ({ detail }) => (retryAt = detail.retryAt));
              const error = await session.refresh().catch((error) => error);
              const { status } = session.state;
              const reason = await refreshed;
              await session.close();
              return { code: error.code, status: error.status, retryable: error.retryable, state: status, retryAt, reason };
            },
            undefined,
            { expected: [/Failed to load resource/] },
          );
          const { retryAt, ...rest } = result;
          assert.deepEqual(rest, { code: "http-status", status: 429, retryable: true, state: "retrying", reason: "scheduled" });
          const late = moments[2] - until;
          t.diagnostic(`${name}: asked again ${late} ms after the moment that Retry-After named`);
          assert.ok(retryAt >= until - 100 && retryAt <= until + 1200, `planned ${retryAt - until} ms after it`);
          assert.ok(late >= -100 && late <= 1000 + SLACK, `asked again ${late} ms after it`);
          assert.equal(moments.length, 3);
        });
      }

      it("an offline page asks nobody until it is online again, and then at once", async () => {
        const page = await stage.browser.page(stage.site.page);
        try {
          await page.evaluate(async () => {
            const { openTurnSession } = await import("/pkg/index.js");
            const { listen } = await import("/harness/sdk-call.mjs");
            const session = await openTurnSession({ source: "/turn" });
            const { fetch } = globalThis;
            globalThis.fetches = 0;
            globalThis.fetch = (...values) => {
              globalThis.fetches++;
              return fetch(...values);
            };
            const refreshed = new Promise((resolve) => session.addEventListener("refreshed", ({ detail }) => resolve([detail.reason, Date.now()])));
            addEventListener("online", () => (globalThis.online = Date.now()));
            Object.assign(globalThis, { session, heard: listen([session]), refreshed });
          });
          const before = stage.requests.length;
          await setOffline(page, true);
          const offline = await page.evaluate(async () => {
            const [{ username }] = session.iceServers;
            const error = await session.refresh().catch((error) => error);
            const { status, refreshAt, attempts } = session.state;
            // Longer than the backoff step after one failure.
            await new Promise((resolve) => setTimeout(resolve, 1500));
            return { code: error.code, retryable: error.retryable, retryAt: heard.find(({ type }) => type === "refresherror").detail.retryAt, state: [status, refreshAt, attempts], fetches, serves: session.iceServers[0].username === username };
          });
          assert.deepEqual(offline, { code: "network", retryable: true, retryAt: null, state: ["retrying", null, 1], fetches: 1, serves: true });
          assert.equal(stage.requests.length, before);
          await setOffline(page, false);
          const result = await page.evaluate(async () => {
            const [reason, at] = await refreshed;
            const { status, attempts, lastError } = session.state;
            await session.close();
            return { reason, ms: at - online, state: [status, attempts, lastError], fetches };
          });
          assert.deepEqual([result.reason, result.state, result.fetches], ["wake", ["active", 0, null], 2]);
          assert.ok(result.ms <= 1000 + SLACK, `${result.ms} ms`);
          assert.equal(stage.requests.length, before + 1);
        } finally {
          await page.close();
        }
      });

      it("a page that is offline when it opens its session fails as any other, and can open it later", async () => {
        const page = await stage.browser.page(stage.site.page);
        try {
          await page.evaluate(async () => {
            const { init, openTurnSession } = await import("/pkg/index.js");
            await init();
            Object.assign(globalThis, { openTurnSession });
          });
          await setOffline(page, true);
          const failed = await page.evaluate(async () => {
            const error = await openTurnSession({ source: "/turn" }).catch((error) => error);
            return { code: error.code, retryable: error.retryable };
          });
          assert.deepEqual(failed, { code: "network", retryable: true });
          await setOffline(page, false);
          const status = await page.evaluate(async () => {
            const session = await openTurnSession({ source: "/turn" });
            const { status } = session.state;
            await session.close();
            return status;
          });
          assert.equal(status, "active");
        } finally {
          await page.close();
        }
      });
    });
  }
});
