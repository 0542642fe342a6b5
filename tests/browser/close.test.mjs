// The end of a session in real browsers: by close(), by a signal, with its page; and what is revoked then.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { BackForwardCache } from "../harness/back-forward-cache.mjs";
import { BROWSERS } from "../harness/browsers.mjs";
import { Site } from "../harness/site.mjs";
import { Stage } from "../harness/stage.mjs";

/** Waits until `condition()` is truthy, here and not in a page. */
async function until(condition, what, within = 15_000) {
  for (const deadline = Date.now() + within; !condition(); await new Promise((resolve) => setTimeout(resolve, 20))) {
    if (Date.now() > deadline) throw new Error(`not within ${within} ms: ${what}`);
  }
}

// Most of the time is spent waiting: the two browsers do it together.
describe("closing", { concurrency: true }, () => {
  for (const name of BROWSERS) {
    describe(name, { concurrency: 1 }, () => {
      let stage;
      let cache;
      /** Usernames in the order in which the endpoint at /revoke was asked to revoke them. */
      const revoked = [];
      /** How requests that are never answered ended: "open", then "gone" once the browser gave up. */
      const hanging = [];

      before(async () => {
        stage = await Stage.open(name);
        cache = new BackForwardCache(stage.site);
        stage.site.on("/revoke", (_request, response, body) => {
          revoked.push(JSON.parse(body).username);
          response.writeHead(204).end();
        });
        stage.site.json("/hanging", () => hanging);
        stage.site.on("/never", (_request, response) => {
          const index = hanging.push("open") - 1;
          response.once("close", () => (hanging[index] = "gone"));
        });
      });
      after(async () => {
        await stage?.close();
      });

      it("a signal that was aborted beforehand lets nothing be fetched", async () => {
        const result = await stage.run(async () => {
          const { openTurnSession, TurnError } = await import("/pkg/index.js");
          let calls = 0;
          const error = await openTurnSession({ source: async () => calls++, signal: AbortSignal.abort("no more") }).catch((error) => error);
          return { calls, code: error instanceof TurnError && error.code, retryable: error.retryable };
        });
        assert.deepEqual(result, { calls: 0, code: "aborted", retryable: false });
      });

      it("a signal that is aborted during the first fetch takes the request back", async () => {
        hanging.length = 0;
        const code = await stage.run(async () => {
          const { openTurnSession } = await import("/pkg/index.js");
          const { until } = await import("/harness/call.mjs");
          const hanging = async (state) => (await (await fetch("/hanging")).json()).at(-1) === state;
          const controller = new AbortController();
          const opening = openTurnSession({ source: { url: "/never", timeout: 60_000 }, signal: controller.signal }).then(() => null, (error) => error.code);
          await until(() => hanging("open"), "asked");
          controller.abort();
          const code = await opening;
          await until(() => hanging("gone"), "the browser gave up the request");
          return code;
        });
        assert.equal(code, "aborted");
        assert.equal(hanging.length, 1, "nothing is tried again");
      });

      it("a signal that is aborted between two tries ends the opening at once and for good", async () => {
        const result = await stage.run(async () => {
          const { openTurnSession } = await import("/pkg/index.js");
          const controller = new AbortController();
          let calls = 0;
          let abortedAt;
          const source = async () => {
            calls++;
            // In the wait of at least 250 ms that follows.
            setTimeout(() => {
              abortedAt = performance.now();
              controller.abort();
            });
            throw new Error("not today");
          };
          const code = await openTurnSession({ source, signal: controller.signal }).then(() => null, (error) => error.code);
          const ms = performance.now() - abortedAt;
          // The second try would have come within a second.
          await new Promise((resolve) => setTimeout(resolve, 1300));
          return { code, ms, calls };
        });
        assert.deepEqual([result.code, result.calls], ["aborted", 1]);
        assert.ok(result.ms < 200, `${result.ms} ms`);
      });

      it("closing during a fetch takes the request back and answers who waits for it", async () => {
        hanging.length = 0;
        let good = 1;
        stage.site.on("/once", (request, response) => {
          if (good-- > 0) {
            response.writeHead(201, { "content-type": "application/json" }).end(JSON.stringify({ iceServers: stage.iceServers(), ttl: 600 }));
          } else {
            const index = hanging.push("open") - 1;
            response.once("close", () => (hanging[index] = "gone"));
          }
        });
        const result = await stage.run(async () => {
          const { openTurnSession } = await import("/pkg/index.js");
          const { until } = await import("/harness/call.mjs");
          const hanging = async (state) => (await (await fetch("/hanging")).json()).at(-1) === state;
          const { listen } = await import("/harness/sdk-call.mjs");
          const session = await openTurnSession({ source: { url: "/once", timeout: 60_000 } });
          const heard = listen([session]);
          const waiting = [session.refresh(), session.refresh()].map((promise) => promise.then(() => null, (error) => error.code));
          await until(() => hanging("open"), "asked");
          const { status } = session.state;
          await session.close();
          await until(() => hanging("gone"), "the browser gave up the request");
          return { status, codes: await Promise.all(waiting), types: heard.map(({ type }) => type), attempts: session.state.attempts };
        });
        assert.equal(result.status, "refreshing");
        assert.deepEqual(result.codes, ["closed", "closed"]);
        assert.deepEqual(result.types, ["statechange", "statechange", "closed"], "giving a fetch up is no refresherror");
        assert.equal(result.attempts, 0);
        assert.equal(hanging.length, 1);
      });

      it("what a provider function answers after the end is ignored, whether well or badly", async () => {
        const result = await stage.run(async () => {
          const { openTurnSession } = await import("/pkg/index.js");
          const { listen } = await import("/harness/sdk-call.mjs");
          const results = [];
          for (const settle of ["resolve", "reject"]) {
            let answer;
            let serial = 0;
            const response = () => ({ iceServers: [{ urls: "turn:127.0.0.1", username: `name-${serial++}`, credential: "secret" }], ttl: 600 });
            const source = ({ reason }) =>
              reason === "initial" ? Promise.resolve(response()) : new Promise((resolve, reject) => (answer = { resolve, reject }));
            const session = await openTurnSession({ source });
            const pc = session.createPeerConnection();
            const heard = listen([session], [pc]);
            const waiting = session.refresh().catch((error) => error.code);
            while (!answer) await new Promise((resolve) => setTimeout(resolve));
            await session.close();
            answer[settle](settle === "resolve" ? response() : new Error("too late"));
            await new Promise((resolve) => setTimeout(resolve, 200));
            results.push({ code: await waiting, username: pc.getConfiguration().iceServers[0].username, last: heard.at(-1).type, status: session.state.status });
            pc.close();
          }
          return results;
        });
        const expected = { code: "closed", username: "name-0", last: "closed", status: "closed" };
        assert.deepEqual(result, [expected, expected]);
      });

      it("closing during a retry wait ends the tries", async () => {
        const result = await stage.run(async () => {
          const { openTurnSession } = await import("/pkg/index.js");
          const { until } = await import("/harness/call.mjs");
          let calls = 0;
          const source = async () => {
            if (calls++ > 0) throw new Error("not today");
            return { iceServers: [{ urls: "turn:127.0.0.1", username: "name", credential: "secret" }], ttl: 600 };
          };
          const session = await openTurnSession({ source });
          await session.refresh().catch(() => {});
          const { status, refreshAt } = session.state;
          await session.close();
          // Until well after the moment at which it would have been.
          await until(() => Date.now() > refreshAt + 500, "the planned moment has passed");
          return { status, planned: refreshAt > 0, then: session.state.refreshAt, calls };
        });
        assert.deepEqual(result, { status: "retrying", planned: true, then: null, calls: 2 });
      });

      it("closing during an ICE restart leaves the call to it, and says nothing more", async () => {
        const result = await stage.run(
          async () => {
            const { SdkCall } = await import("/harness/sdk-call.mjs");
            const { until } = await import("/harness/call.mjs");
            const call = await SdkCall.open({ options: { source: "/turn", iceRestart: "always" } });
            const [session] = call.sessions;
            const fragments = () => call.call.ends.map(({ pc }) => /a=ice-ufrag:(\S+)/.exec(pc.currentLocalDescription.sdp)[1]);
            const before = fragments();
            session.addEventListener("restarting", () => session.close());
            await session.refresh();
            await until(() => session.state.status === "closed", "closed in the middle of a restart", 15_000);
            await until(() => fragments().every((fragment, index) => fragment !== before[index]), "both ends are in a new generation");
            await until(() => call.call.ends.every(({ pc }) => pc.signalingState === "stable" && pc.iceGatheringState === "complete"), "gathered");
            // Messages go on.
            const { received } = call.call.ends[0].tally.report;
            await until(() => call.call.ends[0].tally.report.received > received + 20, "twenty messages more");
            const types = call.heard.map(({ type }) => type);
            return { ...(await call.finish()), types };
          },
          undefined,
          { within: 60_000 },
        );
        assert.equal(result.types.at(-1), "closed");
        assert.equal(result.types.filter((type) => type === "closed").length, 1);
        for (const end of result.ends) {
          assert.deepEqual([end.connectionState, end.channel, end.lost, end.repeated, end.received - end.sent], ["connected", "open", 0, 0, 0], JSON.stringify(end));
        }
      });

      it("every further way to close it is the same closing", async () => {
        const result = await stage.run(async () => {
          const { openTurnSession } = await import("/pkg/index.js");
          let revocations = 0;
          const revoke = async () => {
            revocations++;
            await new Promise((resolve) => setTimeout(resolve, 100));
          };
          const controller = new AbortController();
          const session = await openTurnSession({ source: "/turn", revoke, signal: controller.signal });
          let closed = 0;
          const promises = [];
          session.addEventListener("closed", () => {
            closed++;
            promises.push(session.close({ revoke: true }));
          });
          session.addEventListener("statechange", () => promises.push(session.close()));
          promises.push(session.close({ revoke: true }), session.close({ revoke: true }), session.close());
          controller.abort();
          await session[Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]();
          await new Promise((resolve) => setTimeout(resolve, 100));
          // The first of all is the one that the listener of statechange asked for, within the first call.
          const [, ...later] = promises;
          return { closed, revocations, status: session.state.status, promises: promises.length, same: new Set(later).size, resolved: (await Promise.all(promises)).every((value) => value === undefined) };
        });
        assert.deepEqual(result, { closed: 1, revocations: 1, status: "closed", promises: 5, same: 1, resolved: true });
      });

      it("an aborted signal closes without revoking", async () => {
        revoked.length = 0;
        const types = await stage.run(async () => {
          const { openTurnSession } = await import("/pkg/index.js");
          const { listen } = await import("/harness/sdk-call.mjs");
          const controller = new AbortController();
          const session = await openTurnSession({ source: "/turn", revoke: "/revoke", signal: controller.signal });
          const heard = listen([session]);
          controller.abort();
          await session.close({ revoke: true });
          await new Promise((resolve) => setTimeout(resolve, 200));
          return heard.map(({ type }) => type);
        });
        assert.deepEqual(types, ["statechange", "closed"]);
        assert.deepEqual(revoked, []);
      });

      it("revokes each username that was handed out and still lives, once, and those alone", async () => {
        revoked.length = 0;
        const result = await stage.run(async () => {
          const { openTurnSession } = await import("/pkg/index.js");
          const { until } = await import("/harness/call.mjs");
          const lives = [["short", 2], ["long", 600], ["long", 600], ["two lists", 600], ["last", 600]];
          const source = async () => {
            const [name, ttl] = lives.shift();
            const server = (username) => ({ urls: "turn:127.0.0.1", username, credential: `secret of ${username}` });
            return { iceServers: [{ urls: "stun:127.0.0.1" }, ...(name === "two lists" ? [server("left"), server("right")] : [server(name)])], ttl };
          };
          const requests = [];
          const { fetch } = globalThis;
          globalThis.fetch = (url, init) => {
            if (String(url).endsWith("/revoke")) requests.push({ keepalive: init.keepalive, method: init.method, cache: init.cache, authorization: init.headers.get("authorization") });
            return fetch(url, init);
          };
          const session = await openTurnSession({ source, revoke: { url: "/revoke", headers: { authorization: "Bearer a" } } });
          const connections = [session.createPeerConnection(), session.createPeerConnection()];
          const { expiresAt } = session.state;
          while (lives.length) await session.refresh();
          await until(() => Date.now() > expiresAt + 100, "the first one's life is over");
          for (const pc of connections) pc.close();
          await session.close({ revoke: true });
          return requests;
        });
        assert.deepEqual([...revoked].sort(), ["last", "left", "long", "right"]);
        assert.equal(result.length, 4);
        // With `keepalive` a request outlives its page.
        for (const request of result) assert.deepEqual(request, { keepalive: true, method: "POST", cache: "no-store", authorization: "Bearer a" });
      });

      const leaving = [
        ["is left for another one", (page) => page.goto(stage.site.page)],
        // In Firefox it is the browser's choice what still goes out then.
        ...(name === "chromium" ? [["is closed", (page) => page.close()]] : []),
      ];
      for (const [what, leave] of leaving) {
        it(`a page that ${what} can still revoke in its pagehide`, async () => {
          revoked.length = 0;
          const page = await stage.browser.page(stage.site.page);
          const usernames = await page.evaluate(async () => {
            const { openTurnSession } = await import("/pkg/index.js");
            const { turnUsername } = await import("/harness/sdk-call.mjs");
            const session = await openTurnSession({ source: "/turn", revoke: "/revoke" });
            const first = turnUsername(session);
            await session.refresh();
            const pc = session.createPeerConnection();
            addEventListener("pagehide", () => {
              pc.close();
              session.close({ revoke: true });
            });
            return [first, turnUsername(session)];
          });
          await leave(page);
          await until(() => revoked.length >= 2, "both usernames are revoked");
          assert.deepEqual([...revoked].sort(), usernames.sort());
          if (!page.isClosed()) await page.close();
        });
      }

      it("close() never throws, whatever becomes of the revocation, and a warning tells of it", async () => {
        stage.site.on("/broken", (_request, response) => response.writeHead(500).end());
        stage.site.on("/forbidden", (_request, response) => response.writeHead(403).end());
        const gone = await Site.start();
        const nowhere = gone.url("/revoke");
        await gone.stop();
        const results = await stage.run(
          async (nowhere) => {
            const { openTurnSession } = await import("/pkg/index.js");
            const { listen, turnUsername } = await import("/harness/sdk-call.mjs");
            const cases = {
              "status 500": "/broken",
              "status 403": "/forbidden",
              "no server": nowhere,
              "no answer": { url: "/never", timeout: 300 },
              "headers that throw": { url: "/revoke", headers: () => { throw new Error("no token"); } },
              "a function that throws an Error": () => { throw new Error("no token"); },
              "a function that throws undefined": () => { throw undefined; },
              "a function that rejects with a text": async () => { throw "no token"; },
            };
            const results = {};
            for (const [what, revoke] of Object.entries(cases)) {
              const session = await openTurnSession({ source: "/turn", revoke });
              const usernames = [turnUsername(session)];
              await session.refresh();
              usernames.push(turnUsername(session));
              const heard = listen([session]);
              const began = performance.now();
              const value = await session.close({ revoke: true }).then((value) => value ?? null, (error) => `rejected: ${error}`);
              const ms = performance.now() - began;
              await new Promise((resolve) => setTimeout(resolve, 50));
              results[what] = { value, ms, usernames, types: heard.map(({ type }) => type), messages: heard.filter(({ type }) => type === "warning").map(({ detail }) => detail.message) };
            }
            return results;
          },
          nowhere,
          { expected: [/Failed to load resource/, /Cross-Origin Request Blocked/] },
        );
        for (const [what, { value, ms, usernames, types, messages }] of Object.entries(results)) {
          assert.equal(value, null, what);
          assert.deepEqual(types, ["statechange", "warning", "warning", "closed"], what);
          assert.ok(ms < 10_000, `${what}: ${ms} ms`);
          for (const message of messages) {
            assert.match(message, /^revoking .+ failed: .+/, what);
            for (const username of usernames) assert.ok(!message.includes(username), `${what}: ${message}`);
          }
        }
        assert.match(results["status 500"].messages[0], /status 500/);
        assert.match(results["no answer"].messages[0], /300 ms/);
        assert.match(results["a function that throws an Error"].messages[0], /no token/);
      });

      it("without a revoke option close({ revoke: true }) is close()", async () => {
        const before = stage.requests.length;
        const types = await stage.run(async () => {
          const { openTurnSession } = await import("/pkg/index.js");
          const { listen } = await import("/harness/sdk-call.mjs");
          const session = await openTurnSession({ source: "/turn" });
          const heard = listen([session]);
          await session.close({ revoke: true });
          await new Promise((resolve) => setTimeout(resolve));
          return heard.map(({ type }) => type);
        });
        assert.deepEqual(types, ["statechange", "closed"]);
        assert.equal(stage.requests.length - before, 1);
      });

      it("a page that is kept in the back/forward cache keeps its session", async () => {
        revoked.length = 0;
        const page = await stage.browser.page(cache.page);
        try {
          await page.evaluate(async () => {
            const { openTurnSession } = await import("/pkg/index.js");
            const { listen } = await import("/harness/sdk-call.mjs");
            const session = await openTurnSession({ source: "/turn", revoke: "/revoke" });
            globalThis.session = session;
            globalThis.heard = listen([session]);
            addEventListener("pagehide", ({ persisted }) => (globalThis.hidden = persisted));
          });
          await cache.leave(page, 100);
          const result = await page.evaluate(async () => {
            const kept = [globalThis.hidden, session.state.status, heard.length];
            await session.refresh();
            const pc = session.createPeerConnection();
            const served = pc.getConfiguration().iceServers[0].username === session.iceServers[0].username;
            pc.close();
            const types = heard.map(({ type }) => type);
            await session.close();
            return { kept, served, types };
          });
          assert.deepEqual(result.kept, [true, "active", 0]);
          assert.ok(result.served);
          assert.deepEqual(result.types, ["statechange", "refreshed", "statechange"]);
          assert.deepEqual(revoked, []);
          assert.deepEqual(page.troubles, []);
        } finally {
          await page.close();
        }
      });
    });
  }
});
