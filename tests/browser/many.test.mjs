// Many connections of one session: they share what is fetched, and none of them, nor a listener, keeps another from being served.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { BROWSERS } from "../harness/browsers.mjs";
import { Stage } from "../harness/stage.mjs";

/** What a listener or a connection may throw, as expressions. */
const THROWN = ['new Error("from the app")', '"from the app"', "undefined"];

/** What a session reads of a connection. */
const MEMBERS = ["signalingState", "iceConnectionState", "localDescription", "getConfiguration", "getSenders"];

/** Firefox collects as often as it can, and all at once: left to itself it takes about 15 s. */
const COLLECTING = {
  "javascript.options.gc_delay": 50,
  "javascript.options.gc_delay.full": 100,
  "javascript.options.gc_delay.interslice": 1,
  "javascript.options.mem.gc_incremental": false,
};

/** Errors that a test provokes, as the two browsers print them. */
const PROVOKED = [/from the app/, /undefined/, /Script error/];

// Most of the time is spent waiting: the two browsers do it together.
describe("many connections", { concurrency: true }, () => {
  for (const name of BROWSERS) {
    describe(name, { concurrency: 1 }, () => {
      let stage;

      before(async () => {
        stage = await Stage.open(name, { turn: false, browser: { prefs: COLLECTING } });
      });
      after(async () => {
        await stage?.close();
      });

      for (const count of [1, 10, 100]) {
        it(`${count} ${count === 1 ? "connection gets" : "connections get"} the servers of one fetch a refresh, once each`, async (t) => {
          const before = stage.requests.length;
          const result = await stage.run(async (count) => {
            const { openTurnSession } = await import("/pkg/index.js");
            const { until } = await import("/harness/call.mjs");
            const calls = new Map();
            const { setConfiguration } = RTCPeerConnection.prototype;
            RTCPeerConnection.prototype.setConfiguration = function (...values) {
              calls.set(this, (calls.get(this) ?? 0) + 1);
              return setConfiguration.apply(this, values);
            };
            const session = await openTurnSession({ source: "/turn" });
            const connections = Array.from({ length: count }, (_, index) => {
              if (index % 2) return session.createPeerConnection();
              const pc = new RTCPeerConnection();
              session.attach(pc);
              return pc;
            });
            const attached = Math.ceil(count / 2);
            const rounds = [];
            let applied = 0;
            session.addEventListener("applied", () => applied++);
            await until(() => applied >= attached, "applied to the attached ones");
            for (let round = 0; round < 2; round++) {
              calls.clear();
              applied = 0;
              const began = performance.now();
              // All at once, as an app's parts would that know nothing of each other.
              await Promise.all(connections.map(() => session.refresh()));
              await until(() => applied >= count, "applied to all");
              const { username } = session.iceServers[0];
              rounds.push({
                ms: Math.round(performance.now() - began),
                applied,
                once: connections.every((pc) => calls.get(pc) === 1),
                fresh: connections.every((pc) => pc.getConfiguration().iceServers[0].username === username),
                known: session.state.connections,
              });
            }
            for (const pc of connections) pc.close();
            await session.close();
            return rounds;
          }, count);
          t.diagnostic(`${name}, ${count}: a refresh took ${result.map(({ ms }) => ms).join(" and ")} ms, 50 of them the backend`);
          assert.equal(stage.requests.length - before, 3, "one fetch to open, one for each refresh");
          for (const { applied, once, fresh, known } of result) assert.deepEqual({ applied, once, fresh, known }, { applied: count, once: true, fresh: true, known: count });
        });
      }

      it("what listeners throw is reported, and everyone is served", async () => {
        const results = await stage.run(
          async (expressions) => {
            const { openTurnSession } = await import("/pkg/index.js");
            const { until } = await import("/harness/call.mjs");
            const { EVENTS } = await import("/harness/sdk-call.mjs");
            // In a script of the page: of others Chromium does not tell what they threw.
            const script = document.createElement("script");
            script.textContent = "var throwing = (value) => () => { throw value; };";
            document.head.append(script);
            const reported = [];
            // Chromium shows null for undefined.
            addEventListener("error", ({ error }) => reported.push(error ?? undefined));
            const listen = async (expression) => {
              const value = new Function(`return ${expression}`)();
              let serial = 0;
              const source = async () => ({ iceServers: [{ urls: "turn:127.0.0.1", username: `name-${serial++}`, credential: "secret" }], ttl: 4 });
              const session = await openTurnSession({ source });
              const heard = [];
              for (const type of EVENTS) {
                session.addEventListener(type, throwing(value));
                session.addEventListener(type, () => heard.push(type));
              }
              const connections = Array.from({ length: 3 }, () => session.createPeerConnection());
              // Its own schedule goes on as well.
              await until(() => heard.filter((type) => type === "refreshed").length >= 2, "two scheduled refreshes", 15_000);
              await until(() => heard.filter((type) => type === "applied").length >= 6, "applied");
              const { username } = session.iceServers[0];
              const fresh = connections.map((pc) => pc.getConfiguration().iceServers[0].username === username);
              for (const pc of connections) pc.close();
              await session.close();
              await until(() => heard.at(-1) === "closed", "closed");
              return { fresh, heard: heard.length, value };
            };
            const results = await Promise.all(expressions.map(listen));
            return results.map(({ fresh, heard, value }) => ({ fresh, heard, reported: reported.filter((error) => error === value).length }));
          },
          THROWN,
          { expected: PROVOKED },
        );
        for (const [index, { fresh, heard, reported }] of results.entries()) {
          assert.deepEqual(fresh, [true, true, true]);
          assert.equal(reported, heard, `one report of ${THROWN[index]} for each event`);
        }
      });

      it("each refusal of a setConfiguration is the cause of its own connection's error", async () => {
        const causes = await stage.run(async () => {
          const { openTurnSession } = await import("/pkg/index.js");
          const { until } = await import("/harness/call.mjs");
          const session = await openTurnSession({ source: "/turn" });
          const connections = [1, 2].map((place) => {
            const pc = session.createPeerConnection();
            pc.setConfiguration = () => {
              throw new RangeError(`refused by ${place}`);
            };
            return pc;
          });
          const causes = [];
          session.addEventListener("applyerror", ({ detail: { connection, error } }) =>
            causes.push([connections.indexOf(connection) + 1, error.cause instanceof RangeError && error.cause.message]));
          await session.refresh();
          await until(() => causes.length >= 2, "both were tried");
          for (const pc of connections) pc.close();
          await session.close();
          return causes;
        });
        assert.deepEqual(causes, [[1, "refused by 1"], [2, "refused by 2"]]);
      });

      for (const thrown of THROWN) {
        it(`a setConfiguration that throws ${thrown} is told of, and the others are served`, async () => {
          const result = await stage.run(async (thrown) => {
            const { openTurnSession, TurnError } = await import("/pkg/index.js");
            const { until } = await import("/harness/call.mjs");
            const throwing = new Function(`throw ${thrown}`);
            const session = await openTurnSession({ source: "/turn" });
            const connections = Array.from({ length: 4 }, () => session.createPeerConnection());
            const stubborn = connections.slice(1, 3);
            const old = session.iceServers[0].username;
            const errors = [];
            session.addEventListener("applyerror", ({ detail: { connection, error } }) =>
              errors.push([connections.indexOf(connection), error instanceof TurnError && error.code, error.message]));
            let applied = 0;
            session.addEventListener("applied", () => applied++);
            for (const pc of stubborn) pc.setConfiguration = throwing;
            await session.refresh();
            await until(() => applied >= 2 && errors.length >= 2, "everyone was tried");
            const { username } = session.iceServers[0];
            const holds = connections.map((pc) => ({ [old]: "old", [username]: "fresh" })[pc.getConfiguration().iceServers[0].username]);
            // Attaching such a one is the caller's error as well.
            const other = new RTCPeerConnection();
            other.setConfiguration = throwing;
            let code = null;
            try {
              session.attach(other);
            } catch (error) {
              code = error instanceof TurnError && error.code;
            }
            const known = session.state.connections;
            // They are tried again with the next list.
            for (const pc of stubborn) delete pc.setConfiguration;
            applied = 0;
            await session.refresh();
            await until(() => applied >= 4, "applied to all");
            for (const pc of [...connections, other]) pc.close();
            await session.close();
            return { errors, holds, code, known };
          }, thrown);
          assert.deepEqual(result.holds, ["fresh", "old", "old", "fresh"]);
          assert.deepEqual(result.errors.map(([index, code]) => [index, code]), [[1, "apply-failed"], [2, "apply-failed"], [-1, "apply-failed"]]);
          const message = thrown === "undefined" ? /: undefined$/ : /: from the app$/;
          for (const [, , text] of result.errors) assert.match(text, message);
          assert.equal(result.code, "apply-failed");
          assert.equal(result.known, 4, "a connection that could not be attached is not kept");
        });
      }

      it("a connection of which anything throws when it is read is told of, and the others are served on time", async () => {
        const results = await stage.run(
          async (members) => {
            const { openTurnSession } = await import("/pkg/index.js");
            const { until } = await import("/harness/call.mjs");
            const serve = async (member) => {
              let serial = 0;
              const source = async () => ({ iceServers: [{ urls: "turn:127.0.0.1", username: `name-${serial++}`, credential: "secret" }], ttl: 4 });
              const session = await openTurnSession({ source });
              const strange = new RTCPeerConnection();
              session.attach(strange);
              const others = [session.createPeerConnection(), new RTCPeerConnection()];
              session.attach(others[1]);
              let throws = 0;
              Object.defineProperty(strange, member, {
                configurable: true,
                get() {
                  throws++;
                  throw undefined;
                },
              });
              const heard = [];
              for (const type of ["refreshed", "refresherror", "expired", "applied", "applyerror"]) {
                session.addEventListener(type, ({ detail }) => heard.push([type, others.includes(detail.connection), detail.reason]));
              }
              const count = (wanted, ofOthers) => heard.filter(([type, other]) => type === wanted && other === ofOthers).length;
              // By a timer, for which nobody waits and whose loss nobody would notice, and by the next one.
              await until(() => count("refreshed", false) >= 2, `two scheduled refreshes beside ${member}`, 15_000);
              await until(() => count("applied", true) >= 4, "applied to the others");
              // At the app's wish.
              await session.refresh();
              await until(() => count("applied", true) >= 6, "applied to the others");
              const { username } = session.iceServers[0];
              const fresh = others.map((pc) => pc.getConfiguration().iceServers[0].username === username);
              const told = count("applyerror", false) === count("refreshed", false);
              // The first time when it was attached.
              const served = count("applied", false) - 1 === count("refreshed", false);
              // Once it behaves, it is as good as any.
              delete strange[member];
              await session.refresh();
              await until(() => strange.getConfiguration().iceServers[0].username === session.iceServers[0].username, "applied to the strange one");
              const { status, connections } = session.state;
              for (const pc of [strange, ...others]) pc.close();
              await session.close();
              const bad = heard.filter(([type]) => ["refresherror", "expired"].includes(type)).length;
              return { member, fresh, told, served, read: throws > 0, status, connections, bad };
            };
            return await Promise.all(members.map(serve));
          },
          MEMBERS,
          { expected: PROVOKED },
        );
        for (const [index, member] of MEMBERS.entries()) {
          // All else of a stable connection is as its last event told.
          const read = ["signalingState", "getConfiguration"].includes(member);
          assert.deepEqual(results[index], { member, fresh: [true, true], told: read, served: !read, read, status: "active", connections: 3, bad: 0 });
        }
      });

      it("a connection that throws while it is attached is the caller's error and leaves nothing behind", async () => {
        const result = await stage.run(async () => {
          const { openTurnSession } = await import("/pkg/index.js");
          const session = await openTurnSession({ source: "/turn" });
          const results = [];
          for (const member of ["signalingState", "iceConnectionState", "getConfiguration"]) {
            const pc = new RTCPeerConnection();
            let listeners = 0;
            const { addEventListener } = pc;
            pc.addEventListener = function (...values) {
              listeners++;
              return addEventListener.apply(this, values);
            };
            Object.defineProperty(pc, member, {
              configurable: true,
              get() {
                throw new RangeError(member);
              },
            });
            let thrown = null;
            try {
              session.attach(pc);
            } catch (error) {
              thrown = error.message;
            }
            results.push([member, thrown, listeners, session.state.connections]);
            delete pc[member];
            session.attach(pc);
            results.push(["then", pc.getConfiguration().iceServers[0].username === session.iceServers[0].username, session.state.connections]);
            session.detach(pc);
            pc.close();
          }
          await session.close();
          return results;
        });
        for (const [index, member] of ["signalingState", "iceConnectionState", "getConfiguration"].entries()) {
          assert.deepEqual(result[2 * index], [member, member, 0, 0]);
          assert.deepEqual(result[2 * index + 1], ["then", true, 1]);
        }
      });

      it("connections that come during a refresh get the fresh list, those that go are left alone", async () => {
        const result = await stage.run(async () => {
          const { openTurnSession } = await import("/pkg/index.js");
          const { until } = await import("/harness/call.mjs");
          let serial = 0;
          let answer;
          const source = async ({ reason }) => {
            if (reason !== "initial") await new Promise((resolve) => (answer = resolve));
            return { iceServers: [{ urls: "turn:127.0.0.1", username: `name-${serial++}`, credential: "secret" }], ttl: 600 };
          };
          const session = await openTurnSession({ source });
          const username = (pc) => pc.getConfiguration().iceServers[0]?.username ?? null;
          const [stays, detached, closed] = [0, 1, 2].map(() => session.createPeerConnection());
          const errors = [];
          session.addEventListener("applyerror", ({ detail }) => errors.push(detail.error.message));
          const refreshing = session.refresh();
          const attached = new RTCPeerConnection();
          session.attach(attached);
          const made = session.createPeerConnection();
          const during = [attached, made].map(username);
          session.detach(detached);
          closed.close();
          await until(() => answer, "the fetch is under way");
          answer();
          await refreshing;
          await until(() => [stays, attached, made].every((pc) => username(pc) === "name-1"), "the fresh list everywhere");
          const left = { detached: username(detached), connections: session.state.connections, errors };
          // Once more: what was detached comes back with the servers in force.
          session.attach(detached);
          const back = [username(detached), session.state.connections];
          for (const pc of [stays, detached, attached, made]) pc.close();
          await session.close();
          return { during, left, back };
        });
        assert.deepEqual(result.during, ["name-0", "name-0"]);
        assert.deepEqual(result.left, { detached: "name-0", connections: 3, errors: [] });
        assert.deepEqual(result.back, ["name-1", 4]);
      });

      it("attaching twice applies once and counts once, detaching twice does nothing more", async () => {
        const result = await stage.run(async () => {
          const { openTurnSession } = await import("/pkg/index.js");
          const { until } = await import("/harness/call.mjs");
          const session = await openTurnSession({ source: "/turn" });
          const pc = new RTCPeerConnection();
          let calls = 0;
          const { setConfiguration } = pc;
          pc.setConfiguration = function (...values) {
            calls++;
            return setConfiguration.apply(this, values);
          };
          let applied = 0;
          session.addEventListener("applied", () => applied++);
          session.attach(pc);
          session.attach(pc);
          session.attach(pc, { iceRestart: "always" });
          const attached = [calls, session.state.connections];
          await session.refresh();
          await until(() => applied >= 2, "applied");
          const refreshed = [calls, session.state.connections];
          session.detach(pc);
          session.detach(pc);
          await session.refresh();
          const detached = [calls, session.state.connections];
          pc.close();
          await session.close();
          return { attached, refreshed, detached };
        });
        assert.deepEqual(result, { attached: [1, 1], refreshed: [2, 1], detached: [2, 0] });
      });

      it("closed connections drop out one by one, and nothing is applied to them", async () => {
        const result = await stage.run(async () => {
          const { openTurnSession } = await import("/pkg/index.js");
          const { until } = await import("/harness/call.mjs");
          const session = await openTurnSession({ source: "/turn" });
          const connections = Array.from({ length: 5 }, () => session.createPeerConnection());
          const errors = [];
          session.addEventListener("applyerror", ({ detail }) => errors.push(detail.error.message));
          let applied = 0;
          session.addEventListener("applied", () => applied++);
          const counts = [];
          while (connections.length) {
            connections.pop().close();
            applied = 0;
            await session.refresh();
            await until(() => applied >= connections.length, "applied to the rest");
            counts.push([session.state.connections, applied]);
          }
          await session.close();
          return { counts, errors };
        });
        assert.deepEqual(result.counts, [[4, 4], [3, 3], [2, 2], [1, 1], [0, 0]]);
        assert.deepEqual(result.errors, []);
      });

      it("collected connections drop out: the session keeps none of them alive", async () => {
        const page = await stage.browser.page(stage.site.page);
        const client = name === "chromium" ? await page.createCDPSession() : null;
        // Firefox has no command for it, but looks for rubbish when a document goes.
        const collect = () => (client ? client.send("HeapProfiler.collectGarbage") : page.evaluate(async () => {
          const frame = document.createElement("iframe");
          document.body.append(frame);
          frame.src = "/harness/page.html";
          await new Promise((resolve) => (frame.onload = resolve));
          frame.remove();
        }));
        try {
          await page.evaluate(async (closes) => {
            const { openTurnSession } = await import("/pkg/index.js");
            const session = await openTurnSession({ source: "/turn" });
            const kept = session.createPeerConnection();
            let left = 10;
            const registry = new FinalizationRegistry(() => left--);
            for (let index = 0; index < 10; index++) {
              const pc = index % 2 ? session.createPeerConnection() : new RTCPeerConnection();
              session.attach(pc);
              registry.register(pc);
              // Chromium keeps a connection that was never closed for as long as the page lives.
              if (closes) pc.close();
            }
            Object.assign(globalThis, { session, kept, registry, left: () => left });
          }, name === "chromium");
          const first = await page.evaluate(() => session.state.connections);
          assert.equal(first, 11);
          // Before the session's own look at its connections, every 30 s, could drop a closed one.
          const deadline = Date.now() + 20_000;
          let left;
          do {
            await collect();
            left = await page.evaluate(async () => {
              await new Promise((resolve) => setTimeout(resolve, 50));
              return globalThis.left();
            });
          } while (left > 0 && Date.now() < deadline);
          assert.equal(left, 0, "the session keeps a connection alive that nobody else holds");
          const result = await page.evaluate(async () => {
            await session.refresh();
            const result = [session.state.connections, kept.signalingState];
            kept.close();
            await session.close();
            return result;
          });
          assert.deepEqual(result, [1, "stable"]);
          assert.deepEqual(page.troubles, []);
        } finally {
          await page.close();
        }
      });

      it("a list that did not change is not applied and arms no ICE restart; one that did is applied once, and does", async () => {
        const result = await stage.run(async () => {
          const { openTurnSession } = await import("/pkg/index.js");
          const { until } = await import("/harness/call.mjs");
          let username = "one";
          const source = async () => ({ iceServers: [{ urls: "turn:127.0.0.1", username, credential: "secret" }], ttl: 600 });
          const session = await openTurnSession({ source });
          const [caller, callee] = [0, 1].map(() => session.createPeerConnection());
          const connections = [caller, callee];
          const calls = [0, 0];
          for (const [index, pc] of connections.entries()) {
            const { setConfiguration } = pc;
            pc.setConfiguration = function (...values) {
              calls[index]++;
              return setConfiguration.apply(this, values);
            };
          }
          const changed = [];
          session.addEventListener("refreshed", ({ detail }) => changed.push(detail.changed));
          let applied = 0;
          session.addEventListener("applied", () => applied++);
          const fragment = (description) => /a=ice-ufrag:(\S+)/.exec(description.sdp)[1];
          caller.createDataChannel("numbers");
          const negotiate = async () => {
            const before = caller.localDescription && fragment(caller.localDescription);
            await caller.setLocalDescription();
            await callee.setRemoteDescription(caller.localDescription);
            await callee.setLocalDescription();
            await caller.setRemoteDescription(callee.localDescription);
            return before !== fragment(caller.localDescription);
          };
          await negotiate();
          for (let round = 0; round < 3; round++) await session.refresh();
          const same = { calls: [...calls], restart: await negotiate(), applied };
          username = "two";
          await session.refresh();
          await until(() => applied >= 2, "applied to both");
          const other = { calls: [...calls], restart: await negotiate(), applied };
          await session.refresh();
          const again = { calls: [...calls], restart: await negotiate(), applied };
          for (const pc of connections) pc.close();
          await session.close();
          return { same, other, again, changed };
        });
        assert.deepEqual(result.changed, [false, false, false, true, false]);
        assert.deepEqual(result.same, { calls: [0, 0], restart: false, applied: 0 });
        assert.deepEqual(result.other, { calls: [1, 1], restart: true, applied: 2 });
        assert.deepEqual(result.again, { calls: [1, 1], restart: false, applied: 2 });
      });
    });
  }
});
