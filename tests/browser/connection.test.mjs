// How a session supplies connections, in real browsers and with a real TURN server.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { BROWSERS } from "../harness/browsers.mjs";
import { Stage } from "../harness/stage.mjs";

for (const name of BROWSERS) {
  describe(`connections in ${name}`, () => {
    let stage;

    before(async () => {
      stage = await Stage.open(name);
    });
    after(async () => {
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

    it("a connection that a restart leaves on its pair of before gets the first TURN URL once more with the next servers", async () => {
      const { lists, servers } = await stage.run(async () => {
        const { openTurnSession } = await import("/pkg/index.js");
        const { until, wait } = await import("/harness/call.mjs");
        /** Shows a relayed path that no restart changes. */
        class Outranked extends EventTarget {
          signalingState = "stable";
          connectionState = "connected";
          iceConnectionState = "connected";
          iceGatheringState = "complete";
          remoteDescription = { sdp: "a=ice-ufrag:other\r\n" };
          restarts = 0;
          lists = [];
          sctp = { transport: { state: "connected", iceTransport: { getSelectedCandidatePair: () => ({ local: { type: "relay", usernameFragment: "0", candidate: "" }, remote: { usernameFragment: "other" } }) } } };
          get localDescription() {
            return { sdp: `a=ice-ufrag:${this.restarts}\r\n` };
          }
          getSenders = () => [];
          getConfiguration = () => ({});
          setConfiguration({ iceServers }) {
            this.lists.push(iceServers);
          }
          async getStats() {
            return new Map([
              ["t", { type: "transport", selectedCandidatePairId: "p" }],
              ["p", { type: "candidate-pair", localCandidateId: "l" }],
              ["l", { type: "local-candidate", candidateType: "relay", usernameFragment: "0" }],
            ]);
          }
          restartIce() {
            this.restarts++;
            for (const state of ["have-local-offer", "stable"]) {
              this.signalingState = state;
              this.dispatchEvent(new Event("signalingstatechange"));
            }
          }
        }
        const session = await openTurnSession({ source: "/turn" });
        const pc = new Outranked();
        session.attach(pc);
        const servers = [session.iceServers];
        for (const count of [1, 2]) {
          await session.refresh();
          await until(() => pc.restarts === count, `restart ${count}`, 20_000);
          servers.push(session.iceServers);
          // A pair may be selected as late as that.
          await wait(5100);
        }
        await session.refresh();
        await until(() => pc.lists.length === 4, "applied");
        servers.push(session.iceServers);
        await session.close();
        // WebDriver BiDi brings what comes twice only once.
        return JSON.parse(JSON.stringify({ lists: pc.lists, servers }));
      });
      const added = [0, 0, 1, 2];
      for (const [index, list] of lists.entries()) {
        const ours = servers[index];
        const { urls, ...turn } = ours.find(({ credential }) => credential);
        assert.deepEqual(list, [...ours, ...Array(added[index]).fill({ urls: urls[0], ...turn })]);
      }
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
  });
}
