// How a session supplies connections, in real browsers and with a real TURN server.
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { after, before, describe, it } from "node:test";
import { BROWSERS } from "../harness/browsers.mjs";
import { Stage } from "../harness/stage.mjs";

/** A UDP port that takes everything and answers nothing. */
async function silentPort() {
  const socket = createSocket("udp4");
  await new Promise((resolve) => socket.bind(0, "127.0.0.1", resolve));
  return { port: socket.address().port, close: () => socket.close() };
}

for (const name of BROWSERS) {
  describe(`connections in ${name}`, () => {
    let stage;
    let silent;

    before(async () => {
      stage = await Stage.open(name);
      silent = await silentPort();
      stage.site.json("/turn/one-dead", () => {
        const [server] = stage.coturn.iceServers({ ttl: 600, transports: ["udp", "tcp"] });
        return { iceServers: [{ ...server, urls: [...server.urls, `turn:127.0.0.1:${silent.port}?transport=udp`] }], ttl: 600 };
      });
      stage.site.json("/turn/refused", () => {
        const [server] = stage.coturn.iceServers({ ttl: 600, transports: ["udp", "tcp"] });
        return { iceServers: [{ ...server, credential: "not-the-password" }], ttl: 600 };
      });
    });
    after(async () => {
      silent?.close();
      await stage?.close();
    });

    it("createPeerConnection keeps the app's configuration, puts its servers after ours, and a refresh changes ours alone", async () => {
      const { first, second, urls } = await stage.run(async () => {
        const { openTurnSession } = await import("/pkg/index.js");
        const { until } = await import("/harness/call.mjs");
        const certificate = await RTCPeerConnection.generateCertificate({ name: "ECDSA", namedCurve: "P-256" });
        const session = await openTurnSession({ source: "/turn" });
        const pc = session.createPeerConnection({
          bundlePolicy: "max-bundle",
          iceTransportPolicy: "relay",
          rtcpMuxPolicy: "require",
          certificates: [certificate],
          iceCandidatePoolSize: 2,
          iceServers: [{ urls: ["stun:127.0.0.1:3478"] }, { urls: "turn:127.0.0.1:9478", username: "own", credential: "own" }],
        });
        const look = () => {
          const { bundlePolicy, iceTransportPolicy, iceCandidatePoolSize, certificates, iceServers } = pc.getConfiguration();
          return {
            bundlePolicy,
            iceTransportPolicy,
            pool: iceCandidatePoolSize ?? null,
            ownCertificate: certificates.length === 1 && certificates[0].expires === certificate.expires,
            iceServers: iceServers.map(({ urls, username }) => ({ urls, username: username || null })),
          };
        };
        const first = look();
        // Firefox does not show the pool.
        if (first.pool === null && navigator.userAgent.includes("Firefox")) first.pool = 2;
        let applied = false;
        session.addEventListener("applied", ({ detail }) => (applied = detail.connection === pc));
        await session.refresh();
        await until(() => applied, "applied");
        const second = look();
        const urls = session.iceServers.flatMap((server) => server.urls);
        pc.close();
        await session.close();
        return { first, second, urls };
      });
      assert.equal(first.bundlePolicy, "max-bundle");
      assert.equal(first.iceTransportPolicy, "relay");
      assert.equal(first.pool, 2);
      assert.ok(first.ownCertificate);
      assert.deepEqual(first.iceServers.map((server) => server.urls), [urls, ["stun:127.0.0.1:3478"], ["turn:127.0.0.1:9478"]]);
      assert.equal(first.iceServers[2].username, "own");
      assert.notEqual(second.iceServers[0].username, first.iceServers[0].username);
      assert.deepEqual(second.iceServers.slice(1), first.iceServers.slice(1));
      for (const member of ["bundlePolicy", "iceTransportPolicy", "ownCertificate"]) assert.equal(second[member], first[member]);
    });

    it("a connection made elsewhere is attached, kept fresh and left alone again", async () => {
      const result = await stage.run(async () => {
        const { openTurnSession, TurnError } = await import("/pkg/index.js");
        const { until } = await import("/harness/call.mjs");
        const { turnUsername } = await import("/harness/sdk-call.mjs");
        const session = await openTurnSession({ source: "/turn" });
        const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle", iceTransportPolicy: "relay", iceServers: [{ urls: "stun:127.0.0.1:9478" }] });
        const username = () => pc.getConfiguration().iceServers.map((server) => server.username).find(Boolean) ?? null;
        session.attach(pc);
        session.attach(pc, { iceRestart: "never" });
        const { bundlePolicy, iceTransportPolicy, iceServers } = pc.getConfiguration();
        const attached = { ours: username() === turnUsername(session), bundlePolicy, iceTransportPolicy, servers: iceServers.length, connections: session.state.connections };
        await session.refresh();
        await until(() => username() === turnUsername(session), "the fresh servers are applied");
        const refreshed = pc.getConfiguration().iceTransportPolicy;
        session.detach(pc);
        session.detach(pc);
        const kept = username();
        await session.refresh();
        const detached = { kept: username() === kept, connections: session.state.connections };
        const errors = [];
        for (const attempt of [() => session.attach(pc, { iceRestart: "sometimes" }), () => session.attach({}), () => session.attach(undefined)]) {
          try {
            attempt();
            errors.push(null);
          } catch (error) {
            errors.push(error instanceof TurnError ? error.code : String(error));
          }
        }
        pc.close();
        await session.close();
        return { attached, refreshed, detached, errors };
      });
      assert.deepEqual(result.attached, { ours: true, bundlePolicy: "max-bundle", iceTransportPolicy: "relay", servers: 1, connections: 1 });
      assert.equal(result.refreshed, "relay");
      assert.deepEqual(result.detached, { kept: true, connections: 0 });
      assert.deepEqual(result.errors, ["invalid-option", "invalid-option", "invalid-option"]);
    });

    it("attaching a closed connection is an error, and a connection that closes drops out", async () => {
      const result = await stage.run(async () => {
        const { openTurnSession } = await import("/pkg/index.js");
        const session = await openTurnSession({ source: "/turn" });
        const closed = new RTCPeerConnection();
        closed.close();
        let code = null;
        try {
          session.attach(closed);
        } catch (error) {
          code = error.code;
        }
        const pc = session.createPeerConnection();
        const before = session.state.connections;
        pc.close();
        await session.refresh();
        const after = session.state.connections;
        await session.close();
        return { code, before, after };
      });
      assert.deepEqual(result, { code: "apply-failed", before: 1, after: 0 });
    });

    it("servers that did not change are not applied again", async () => {
      const [server] = stage.iceServers();
      const result = await stage.run(async (server) => {
        const { openTurnSession } = await import("/pkg/index.js");
        const { listen } = await import("/harness/sdk-call.mjs");
        const session = await openTurnSession({ source: async () => ({ iceServers: [server], ttl: 600 }) });
        const pc = session.createPeerConnection();
        const heard = listen([session], [pc]);
        let calls = 0;
        const { setConfiguration } = RTCPeerConnection.prototype;
        RTCPeerConnection.prototype.setConfiguration = function (...values) {
          calls++;
          return setConfiguration.apply(this, values);
        };
        await session.refresh();
        await session.refresh();
        await new Promise((resolve) => setTimeout(resolve, 100));
        pc.close();
        await session.close();
        return { calls, changed: heard.filter(({ type }) => type === "refreshed").map(({ detail }) => detail.changed), types: heard.map(({ type }) => type) };
      }, server);
      assert.equal(result.calls, 0);
      assert.deepEqual(result.changed, [false, false]);
      assert.ok(!result.types.includes("applied"));
    });

    it("a connection that refuses its servers tells of it and keeps the old ones, and others are served", async () => {
      const result = await stage.run(async () => {
        const { openTurnSession } = await import("/pkg/index.js");
        const { listen } = await import("/harness/sdk-call.mjs");
        const { until } = await import("/harness/call.mjs");
        const session = await openTurnSession({ source: "/turn" });
        const [stubborn, willing] = [session.createPeerConnection(), session.createPeerConnection()];
        const heard = listen([session], [stubborn, willing]);
        stubborn.setConfiguration = () => {
          throw new DOMException("not now", "InvalidModificationError");
        };
        const before = stubborn.getConfiguration().iceServers[0].username;
        await session.refresh();
        await until(() => heard.some(({ type }) => type === "applied"), "applied");
        const result = {
          error: heard.find(({ type }) => type === "applyerror")?.detail ?? null,
          applied: heard.filter(({ type }) => type === "applied").map(({ detail }) => detail.connection),
          kept: stubborn.getConfiguration().iceServers[0].username === before,
        };
        stubborn.close();
        willing.close();
        await session.close();
        return result;
      });
      assert.equal(result.error?.connection, 0);
      assert.equal(result.error?.error.code, "apply-failed");
      assert.deepEqual(result.applied, [1]);
      assert.ok(result.kept);
    });

    it("localDescription resolves with the candidates in it once gathering is complete", async () => {
      const result = await stage.run(async () => {
        const { openTurnSession } = await import("/pkg/index.js");
        const session = await openTurnSession({ source: "/turn", trickle: false });
        const pc = session.createPeerConnection({ iceTransportPolicy: "relay" });
        pc.createDataChannel("numbers");
        await pc.setLocalDescription();
        const description = await session.localDescription(pc);
        const result = { type: description.type, relay: / typ relay /.test(description.sdp), gathering: pc.iceGatheringState };
        pc.close();
        await session.close();
        return result;
      });
      assert.deepEqual(result, { type: "offer", relay: true, gathering: "complete" });
    });

    it("localDescription gives up waiting after its timeout with what is there", async () => {
      const result = await stage.run(async () => {
        const { openTurnSession } = await import("/pkg/index.js");
        const session = await openTurnSession({ source: "/turn/one-dead", trickle: false });
        const pc = session.createPeerConnection({ iceTransportPolicy: "relay" });
        pc.createDataChannel("numbers");
        await pc.setLocalDescription();
        const began = performance.now();
        const description = await session.localDescription(pc, { timeout: 1000 });
        const result = { ms: performance.now() - began, relay: / typ relay /.test(description.sdp), gathering: pc.iceGatheringState };
        pc.close();
        await session.close();
        return result;
      });
      assert.ok(result.ms >= 990 && result.ms < 2500, `${result.ms} ms`);
      assert.deepEqual([result.relay, result.gathering], [true, "gathering"]);
    });

    it("localDescription rejects without a local description, with a bad timeout, and when the connection closes", async () => {
      const codes = await stage.run(async () => {
        const { openTurnSession, TurnError } = await import("/pkg/index.js");
        const session = await openTurnSession({ source: "/turn/one-dead" });
        const code = (promise) => promise.then(() => null, (error) => (error instanceof TurnError ? error.code : String(error)));
        const pc = session.createPeerConnection({ iceTransportPolicy: "relay" });
        const without = await code(session.localDescription(pc));
        pc.createDataChannel("numbers");
        await pc.setLocalDescription();
        const badTimeout = await code(session.localDescription(pc, { timeout: -1 }));
        const pending = code(session.localDescription(pc, { timeout: 5000 }));
        pc.close();
        const closed = await pending;
        await session.close();
        return { without, badTimeout, closed };
      });
      assert.deepEqual(codes, { without: "invalid-option", badTimeout: "invalid-option", closed: "closed" });
    });

    it("probe tells a URL that works from one where nothing answers, and leaves no connection open", async () => {
      const { results, open } = await stage.run(async () => {
        const { openTurnSession } = await import("/pkg/index.js");
        const made = [];
        const Native = RTCPeerConnection;
        globalThis.RTCPeerConnection = class extends Native {
          constructor(...values) {
            super(...values);
            made.push(this);
          }
        };
        const session = await openTurnSession({ source: "/turn/one-dead" });
        const results = await session.probe({ timeout: 2000 });
        await session.close();
        return { results, open: made.filter((pc) => pc.signalingState !== "closed").length };
      });
      assert.equal(results.length, 3);
      const [udp, tcp, dead] = results;
      for (const { ok, candidateType, error, ms, url } of [udp, tcp]) {
        assert.deepEqual({ ok, candidateType, error }, { ok: true, candidateType: "relay", error: null }, url);
        assert.ok(ms >= 0 && ms < 2000, `${url}: ${ms} ms`);
      }
      assert.match(udp.url, /\?transport=udp$/);
      assert.match(tcp.url, /\?transport=tcp$/);
      assert.equal(dead.ok, false);
      assert.equal(dead.candidateType, null);
      assert.ok([0, 701].includes(dead.error.code), JSON.stringify(dead));
      assert.ok(dead.error.message.length > 0);
      assert.equal(open, 0);
    });

    it("probe shows a refused credential as 401", async () => {
      const results = await stage.run(async () => {
        const { openTurnSession } = await import("/pkg/index.js");
        const session = await openTurnSession({ source: "/turn/refused" });
        const results = await session.probe({ timeout: 3000 });
        await session.close();
        return results;
      });
      assert.equal(results.length, 2);
      for (const { ok, error } of results) {
        assert.equal(ok, false);
        assert.equal(error.code, 401);
      }
    });
  });
}
