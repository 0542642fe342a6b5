// A session's life in real browsers: opening, refreshing, expiring, closing, and what its events and state say.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { BROWSERS } from "../harness/browsers.mjs";
import { Stage } from "../harness/stage.mjs";

for (const name of BROWSERS) {
  describe(`a session in ${name}`, () => {
    let stage;

    before(async () => {
      stage = await Stage.open(name, { turn: false });
    });
    after(async () => {
      await stage?.close();
    });

    it("opens with live servers and a state that holds no secret", async () => {
      const { state, iceServers, isSession, json } = await stage.run(async () => {
        const { openTurnSession, TurnSession } = await import("/pkg/index.js");
        const session = await openTurnSession({ source: "/turn" });
        const { state, iceServers } = session;
        const again = session.iceServers !== iceServers;
        const isSession = session instanceof TurnSession && session instanceof EventTarget && again;
        await session.close();
        return { state, iceServers, isSession, json: JSON.stringify(state) };
      });
      assert.ok(isSession);
      assert.equal(iceServers.length, 1);
      const [{ username, credential, urls }] = iceServers;
      assert.equal(state.status, "active");
      assert.equal(state.ttl, 600);
      assert.equal(state.ttlSource, "response");
      assert.equal(state.attempts, 0);
      assert.equal(state.connections, 0);
      assert.equal(state.lastError, null);
      assert.deepEqual(state.urls, urls);
      assert.deepEqual(state.dropped, []);
      const left = state.expiresAt - Date.now();
      assert.ok(left > 590_000 && left <= 600_000, `expires in ${left} ms`);
      // The refresh is due between two margins and one before the expiry; the margin is a quarter of the life.
      assert.ok(state.refreshAt >= state.expiresAt - 300_000 - 50 && state.refreshAt <= state.expiresAt - 150_000 + 50);
      assert.ok(!json.includes(credential) && !json.includes(username), json);
    });

    it("two refreshes at once share one request", async () => {
      const before = stage.requests.length;
      const reasons = await stage.run(async () => {
        const { openTurnSession } = await import("/pkg/index.js");
        const session = await openTurnSession({ source: "/turn" });
        const reasons = [];
        session.addEventListener("refreshed", ({ detail }) => reasons.push(detail.reason));
        await Promise.all([session.refresh(), session.refresh()]);
        await session.close();
        return reasons;
      });
      assert.equal(stage.requests.length - before, 2, "one to open, one for both refreshes");
      assert.deepEqual(reasons, ["manual"]);
    });

    it("refreshes by itself before the credential ends", async () => {
      const result = await stage.run(async () => {
        const { openTurnSession } = await import("/pkg/index.js");
        const { until } = await import("/harness/call.mjs");
        const { listen } = await import("/harness/sdk-call.mjs");
        let serial = 0;
        const source = async () => ({ iceServers: [{ urls: "turn:127.0.0.1", username: `name-${serial++}`, credential: "secret" }], ttl: 4 });
        const session = await openTurnSession({ source });
        const heard = listen([session]);
        const { expiresAt } = session.state;
        const { at, detail } = await until(() => heard.find(({ type }) => type === "refreshed"), "refreshed", 5000);
        const result = { left: expiresAt - at, reason: detail.reason, changed: detail.changed, serving: session.iceServers[0].username };
        await session.close();
        return { ...result, types: heard.map(({ type }) => type) };
      });
      // A quarter to a half of the life is left; a busy machine may eat some of it.
      assert.ok(result.left > 200 && result.left <= 2100, `${result.left} ms were left`);
      assert.deepEqual([result.reason, result.changed, result.serving], ["scheduled", true, "name-1"]);
      assert.ok(!result.types.includes("expired"));
    });

    it("says when the credential ended without a fresh one, goes on trying, and recovers", async () => {
      const result = await stage.run(async () => {
        const { openTurnSession } = await import("/pkg/index.js");
        const { until } = await import("/harness/call.mjs");
        const { listen } = await import("/harness/sdk-call.mjs");
        let serial = 0;
        let healthy = true;
        const source = async () => {
          if (!healthy) throw new Error("no backend today");
          return { iceServers: [{ urls: "turn:127.0.0.1", username: `name-${serial++}`, credential: "secret" }], ttl: 2 };
        };
        const session = await openTurnSession({ source });
        const heard = listen([session]);
        const { expiresAt } = session.state;
        healthy = false;
        await until(() => heard.some(({ type }) => type === "expired"), "expired", 6000);
        const expired = { late: heard.find(({ type }) => type === "expired").at - expiresAt, status: session.state.status };
        healthy = true;
        await until(() => heard.some(({ type }) => type === "refreshed"), "refreshed", 20_000);
        const recovered = { status: session.state.status, attempts: session.state.attempts, lastError: session.state.lastError };
        await session.close();
        const statuses = heard.filter(({ type }) => type === "statechange").map(({ detail }) => detail.status);
        return { expired, recovered, statuses, errors: heard.filter(({ type }) => type === "refresherror").length };
      });
      assert.ok(result.expired.late >= -50 && result.expired.late < 1000, `told ${result.expired.late} ms after the end`);
      assert.equal(result.expired.status, "expired");
      assert.ok(result.errors >= 1);
      assert.deepEqual(result.recovered, { status: "active", attempts: 0, lastError: null });
      assert.ok(result.statuses.includes("retrying"), `${result.statuses}`);
    });

    for (const [form, header, least] of [
      ["in seconds", () => "7", 6000],
      // Dates are whole seconds.
      ["as a date", () => new Date(Date.now() + 7000).toUTCString(), 5000],
      ["as a date that is over", () => "Sun, 06 Nov 1994 08:49:37 GMT", 250],
      ["as something else", () => "soon", 250],
    ]) {
      it(`waits as long as Retry-After says, ${form}`, async () => {
        let good = 1;
        stage.site.on("/turn/busy", (_request, response) => {
          if (good-- > 0) {
            response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ iceServers: stage.iceServers(), ttl: 600 }));
          } else {
            response.setHeader("access-control-expose-headers", "retry-after");
            response.writeHead(503, { "retry-after": header() }).end();
          }
        });
        const result = await stage.run(
          async () => {
            const { openTurnSession } = await import("/pkg/index.js");
            const session = await openTurnSession({ source: "/turn/busy" });
            let failed;
            session.addEventListener("refresherror", ({ detail }) => (failed = { in: detail.retryAt - Date.now(), attempts: detail.attempts, code: detail.error.code }));
            await session.refresh().catch(() => {});
            const { status, refreshAt } = session.state;
            const result = { ...failed, status, planned: refreshAt - Date.now() };
            await session.close();
            return result;
          },
          undefined,
          { expected: [/Failed to load resource/] },
        );
        // The jitter of a first failure is up to 1 s; some of the time is over when it is looked at.
        const most = least < 5000 ? 1000 : 8000;
        assert.ok(result.in > least - 250 && result.in <= most + 100, `retry in ${result.in} ms`);
        assert.ok(Math.abs(result.planned - result.in) < 500);
        assert.deepEqual([result.attempts, result.code, result.status], [1, "http-status", "retrying"]);
      });
    }

    it("takes the lifetime from the response, else the username, else the option, else assumes an hour and says so", async () => {
      const results = await stage.run(async () => {
        const { openTurnSession } = await import("/pkg/index.js");
        const { listen } = await import("/harness/sdk-call.mjs");
        const soon = Math.floor(Date.now() / 1000) + 1800;
        const servers = (username) => [{ urls: "turn:127.0.0.1", username, credential: "secret" }];
        const cases = {
          response: [{ iceServers: servers("name"), ttl: 300 }, 900],
          expiry: [{ iceServers: servers("name"), expiresAt: new Date(Date.now() + 120_000).toISOString() }, 900],
          username: [{ iceServers: servers(`${soon}:name`) }, 900],
          option: [{ iceServers: servers("name") }, 900],
          assumed: [{ iceServers: servers("name") }, undefined],
        };
        const results = {};
        for (const [kind, [response, ttl]] of Object.entries(cases)) {
          const session = await openTurnSession({ source: async () => response, ttl });
          const heard = listen([session]);
          await new Promise((resolve) => setTimeout(resolve, 50));
          results[kind] = {
            source: session.state.ttlSource,
            ttl: session.state.ttl,
            told: heard.filter(({ type }) => type === "ttlassumed").map(({ detail }) => detail.ttl),
          };
          await session.close();
        }
        return results;
      });
      const near = (value, expected) => assert.ok(Math.abs(value - expected) <= 2, `${value} is not about ${expected}`);
      assert.deepEqual(Object.values(results).map(({ source }) => source), ["response", "response", "username", "option", "assumed"]);
      near(results.response.ttl, 300);
      near(results.expiry.ttl, 120);
      near(results.username.ttl, 1800);
      near(results.option.ttl, 900);
      near(results.assumed.ttl, 3600);
      assert.deepEqual(Object.values(results).map(({ told }) => told), [[], [], [], [], [3600]]);
    });

    it("close is idempotent, ends all fetches, leaves connections alone, and is the last event", async () => {
      const before = stage.requests.length;
      const result = await stage.run(async () => {
        const { openTurnSession, TurnError } = await import("/pkg/index.js");
        const { listen } = await import("/harness/sdk-call.mjs");
        let fetches = 0;
        const session = await openTurnSession({
          source: async () => ({ iceServers: [{ urls: "turn:127.0.0.1", username: `name-${fetches++}`, credential: "secret" }], ttl: 2 }),
        });
        const heard = listen([session]);
        const pc = session.createPeerConnection();
        const [first, second] = [session.close(), session.close({ revoke: true })];
        const same = first === second;
        await first;
        const { status, expiresAt, refreshAt, connections } = session.state;
        const codes = [];
        for (const attempt of [() => session.createPeerConnection(), () => session.attach(pc), () => session.refresh(), () => session.probe()]) {
          try {
            await attempt();
            codes.push(null);
          } catch (error) {
            codes.push(error instanceof TurnError ? error.code : String(error));
          }
        }
        session.detach(pc);
        // Longer than the credential's life.
        await new Promise((resolve) => setTimeout(resolve, 2500));
        const result = {
          same, status, expiresAt, refreshAt, connections, codes, fetches,
          pc: pc.signalingState,
          servers: pc.getConfiguration().iceServers.length,
          last: heard.at(-1)?.type,
          closed: heard.filter(({ type }) => type === "closed").length,
        };
        pc.close();
        return result;
      });
      assert.deepEqual(result, {
        same: true, status: "closed", expiresAt: null, refreshAt: null, connections: 0, fetches: 1,
        codes: ["closed", "closed", "closed", "closed"],
        pc: "stable", servers: 1, last: "closed", closed: 1,
      });
      assert.equal(stage.requests.length, before);
    });

    it("`await using` closes it", async () => {
      const result = await stage.run(async () => {
        const { openTurnSession } = await import("/pkg/index.js");
        const AsyncFunction = (async () => {}).constructor;
        const use = new AsyncFunction(
          "open",
          `let kept;
          { await using session = await open({ source: "/turn" }); kept = session; if (kept.state.status !== "active") throw new Error(kept.state.status); }
          return kept.state.status;`,
        );
        return await use(openTurnSession);
      });
      assert.equal(result, "closed");
    });

    it("an AbortSignal ends the opening with `aborted`, and an open session with `closed`", async () => {
      let reached = 0;
      stage.site.on("/turn/slow", () => reached++);
      const result = await stage.run(async () => {
        const { openTurnSession, TurnError } = await import("/pkg/index.js");
        const { until } = await import("/harness/call.mjs");
        const code = (promise) => promise.then(() => null, (error) => (error instanceof TurnError ? error.code : String(error)));
        const already = await code(openTurnSession({ source: "/turn/slow", signal: AbortSignal.abort() }));
        const opening = new AbortController();
        setTimeout(() => opening.abort("a reason that is no Error"), 200);
        const began = performance.now();
        const during = await code(openTurnSession({ source: "/turn/slow", signal: opening.signal }));
        const ms = performance.now() - began;
        const open = new AbortController();
        const session = await openTurnSession({ source: "/turn", signal: open.signal });
        let closed = 0;
        session.addEventListener("closed", () => closed++);
        open.abort();
        const { status } = session.state;
        await session.close();
        await until(() => closed > 0, "closed");
        return { already, during, ms, status, closed };
      });
      assert.equal(reached, 1, "a signal that was aborted before sends no request");
      assert.ok(result.ms < 2000, `${result.ms} ms`);
      assert.deepEqual([result.already, result.during, result.status, result.closed], ["aborted", "aborted", "closed", 1]);
    });

    it("a listener that throws reaches the page's error handler and disturbs nothing", async () => {
      const result = await stage.run(
        async () => {
          const { openTurnSession } = await import("/pkg/index.js");
          const session = await openTurnSession({ source: "/turn" });
          let reported = 0;
          addEventListener("error", () => reported++);
          const order = [];
          session.addEventListener("refreshed", () => {
            order.push("thrower");
            throw new Error("from a listener");
          });
          session.addEventListener("refreshed", { handleEvent: () => order.push("object") });
          await session.refresh();
          await session.refresh();
          const { status } = session.state;
          await session.close();
          return { reported, order, status };
        },
        undefined,
        { expected: [/from a listener|Script error/] },
      );
      assert.deepEqual(result.order, ["thrower", "object", "thrower", "object"]);
      assert.equal(result.reported, 2);
      assert.equal(result.status, "active");
    });

    it("a listener may call any method, and finds its effect at once", async () => {
      const result = await stage.run(async () => {
        const { openTurnSession } = await import("/pkg/index.js");
        const session = await openTurnSession({ source: "/turn" });
        const seen = [];
        let pc;
        session.addEventListener("statechange", ({ detail }) => {
          if (session.state.status !== "closed") seen.push([detail.status, session.state.status === detail.status]);
        });
        const other = new RTCPeerConnection();
        session.addEventListener("refreshed", ({ detail }) => {
          pc = session.createPeerConnection();
          seen.push(["servers", pc.getConfiguration().iceServers[0].username === session.iceServers[0].username]);
          seen.push(["connections", session.state.connections === 1]);
          seen.push(["expiresAt", Math.abs(detail.expiresAt - session.state.expiresAt) < 50]);
          session.attach(other);
          session.detach(pc);
          session.close();
          seen.push(["closed", session.state.status === "closed"]);
        });
        await session.refresh().catch((error) => seen.push(["refresh", error.code]));
        await session.close();
        other.close();
        pc.close();
        return seen;
      });
      for (const [what, right] of result) assert.ok(right === true || (what === "refresh" && right === "closed"), `${what}: ${right} in ${JSON.stringify(result)}`);
      assert.ok(result.some(([what]) => what === "closed"));
    });

    it("events from before the app could listen are still heard", async () => {
      const types = await stage.run(async () => {
        const { openTurnSession } = await import("/pkg/index.js");
        const { listen } = await import("/harness/sdk-call.mjs");
        const session = await openTurnSession({ source: async () => ({ iceServers: [{ urls: "stun:127.0.0.1" }] }) });
        const heard = listen([session]);
        await new Promise((resolve) => setTimeout(resolve, 50));
        await session.close();
        return heard.map(({ type }) => type);
      });
      assert.ok(types.includes("ttlassumed"), `${types}`);
    });

    it("init loads the module once, says why it could not, and may be tried again", async () => {
      const result = await stage.run(
        async () => {
          const { init, openTurnSession, TurnError } = await import("/pkg/index.js");
          const failed = await init(new URL("/nothing.wasm", location.href)).then(() => null, (error) => error);
          const first = init();
          const second = init();
          await first;
          const session = await openTurnSession({ source: "/turn" });
          await session.close();
          return { isTurnError: failed instanceof TurnError, code: failed?.code, message: failed?.message, same: first === second };
        },
        undefined,
        { expected: [/Failed to load resource/] },
      );
      assert.ok(result.isTurnError);
      assert.equal(result.code, "unsupported-environment");
      assert.match(result.message, /init\(/);
      assert.ok(result.same);
    });

    it("sessions come from openTurnSession alone", async () => {
      const message = await stage.run(async () => {
        const { TurnSession } = await import("/pkg/index.js");
        try {
          new TurnSession();
          return null;
        } catch (error) {
          return error.message;
        }
      });
      assert.match(message, /openTurnSession/);
    });
  });
}
