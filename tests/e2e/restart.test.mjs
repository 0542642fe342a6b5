// Which connections are restarted after a refresh, and what the app hears of it.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { BROWSERS } from "../harness/browsers.mjs";
import { Stage } from "../harness/stage.mjs";

/** A call, one refresh, and what was restarted. */
async function refreshOnce({ options, configuration }) {
  const { SdkCall } = await import("/harness/sdk-call.mjs");
  const { until, selectedPair } = await import("/harness/call.mjs");
  const call = await SdkCall.open({ options: { source: "/turn", ...options }, configuration });
  const type = (await until(() => selectedPair(call.call.ends[0].pc), "a selected pair")).local.candidateType;
  const generation = () => call.call.ends.map(({ pc }) => /a=ice-ufrag:(\S+)/.exec(pc.currentLocalDescription.sdp)[1]).join();
  const before = generation();
  await new Promise((resolve) => setTimeout(resolve, 1200));
  await call.sessions[0].refresh();
  // A restart begins within a second or two; where none is wanted, this is how long none may come.
  await until(() => call.heard.filter(({ type }) => type === "restarted").length >= 2, "restarted", 5000).catch(() => {});
  const changed = generation() !== before;
  const result = await call.finish();
  return { type, changed, ...result };
}

/**
 * A call whose end 0 has one TURN URL more than its end 1, and refreshes of both: how many URLs each connection has while
 * end 0's selected relay ranks higher, and once they are even.
 */
async function refreshUneven() {
  const { SdkCall } = await import("/harness/sdk-call.mjs");
  const { until } = await import("/harness/call.mjs");
  const more = async () => {
    const body = await (await fetch("/turn")).json();
    const { urls } = body.iceServers[0];
    urls.push(urls[0].replace("udp", "tcp"));
    return body;
  };
  const call = await SdkCall.open({ shared: false, options: { source: more }, second: { source: "/turn" } });
  const connections = call.call.ends.map(({ pc }) => pc);
  const look = () => ({
    priorities: connections.map((pc) => pc.sctp.transport.iceTransport.getSelectedCandidatePair().local.priority),
    urls: connections.map((pc) => pc.getConfiguration().iceServers.flatMap(({ urls }) => urls).length),
  });
  // A pair of the slower relay may be selected first.
  const when = (condition, what) => until(() => condition(...look().priorities) && look(), what);
  const first = await when((one, other) => one > other, "end 0's relay ranks above end 1's");
  const [high] = first.priorities;
  for (let n = 0; n < 4; n++) {
    const since = Date.now();
    for (const session of call.sessions.toReversed()) await session.refresh();
    const moved = (end) => call.heard.some(({ type, at, session }) => type === "restarted" && session === end && at >= since);
    await until(() => moved(0) && moved(1), "restarted at both ends");
  }
  const last = await when((one, other) => one === high && other === high, "both ends' relays rank even");
  await call.finish();
  return { first: first.urls, last: last.urls };
}

describe("restarts after a refresh", { concurrency: true }, () => {
  for (const name of BROWSERS) {
    // One at a time: they share a server and what it hands out.
    describe(name, { concurrency: 1 }, () => {
      let stage;

      before(async () => {
        stage = await Stage.open(name);
      });
      after(async () => {
        await stage?.close();
      });

      const restarts = ({ heard }) => heard.filter(({ type }) => ["restarting", "restarted"].includes(type));

      it("a relayed connection is restarted, one end begins, and both tell when it is done", async (t) => {
        const result = await stage.run(refreshOnce, {});
        assert.equal(result.type, "relay");
        assert.ok(result.changed);
        const begun = result.heard.filter(({ type }) => type === "restarting").map(({ detail }) => detail);
        assert.deepEqual(begun.map(({ initiator }) => initiator).sort(), ["local", "remote"]);
        assert.deepEqual(begun.map(({ connection }) => connection).sort(), [0, 1]);
        assert.equal(begun.find(({ initiator }) => initiator === "local").reason, "refresh");
        const done = result.heard.filter(({ type }) => type === "restarted").map(({ detail }) => detail);
        assert.deepEqual(done.map(({ connection }) => connection).sort(), [0, 1]);
        for (const { duration } of done) assert.ok(duration > 0 && duration < 5000, `${duration} ms`);
        t.diagnostic(`${name}: restarted in ${done.map(({ duration }) => Math.round(duration))} ms`);
      });

      // Chromium alone tells both.
      if (name === "chromium") {
        it("an end whose relays rank below the other end's raises them with its next servers, as far as theirs", async () => {
          assert.deepEqual(await stage.run(refreshUneven), { first: [2, 1], last: [2, 2] });
        });
      }

      it("a connection that is not relayed is left alone", async () => {
        const result = await stage.run(refreshOnce, { configuration: { iceTransportPolicy: "all" } });
        assert.notEqual(result.type, "relay");
        assert.equal(result.changed, false);
        assert.deepEqual(restarts(result), []);
        assert.ok(result.heard.some(({ type }) => type === "applied"), "its servers are fresh all the same");
      });

      it('"always" restarts it all the same', async () => {
        const result = await stage.run(refreshOnce, { options: { iceRestart: "always" }, configuration: { iceTransportPolicy: "all" } });
        assert.notEqual(result.type, "relay");
        assert.ok(result.changed);
      });

      it('"never" leaves a relayed connection alone', async () => {
        const result = await stage.run(refreshOnce, { options: { iceRestart: "never" } });
        assert.equal(result.type, "relay");
        assert.equal(result.changed, false);
        assert.deepEqual(restarts(result), []);
      });

      it("an app that does not negotiate is told what its handler must do", async () => {
        // Short, for the end that lets the other one go first waits for a part of the life that is left.
        stage.ttl = 12;
        const { stalled, calls } = await stage.run(
          async () => {
            const { openTurnSession } = await import("/pkg/index.js");
            const { until } = await import("/harness/call.mjs");
            const { listen } = await import("/harness/sdk-call.mjs");
            const session = await openTurnSession({ source: "/turn" });
            const pcs = [session.createPeerConnection({ iceTransportPolicy: "relay" }), new RTCPeerConnection({ iceServers: session.iceServers, iceTransportPolicy: "relay" })];
            const heard = listen([session], pcs);
            pcs[0].createDataChannel("numbers");
            await pcs[0].setLocalDescription();
            await pcs[1].setRemoteDescription(await session.localDescription(pcs[0]));
            await pcs[1].setLocalDescription();
            await until(() => pcs[1].iceGatheringState === "complete", "gathering complete");
            await pcs[0].setRemoteDescription(pcs[1].localDescription);
            await until(() => pcs[0].connectionState === "connected", "connected", 10_000);
            let calls = 0;
            const { restartIce } = RTCPeerConnection.prototype;
            pcs[0].restartIce = function () {
              calls++;
              return restartIce.call(this);
            };
            const stalled = await until(() => heard.find(({ type }) => type === "restartstalled"), "restartstalled", 25_000).catch(() => null);
            await session.close();
            for (const pc of pcs) pc.close();
            return { stalled: stalled?.detail ?? null, calls };
          },
          undefined,
          { within: 45_000 },
        );
        stage.ttl = 600;
        assert.ok(stalled, "no restartstalled event");
        assert.equal(stalled.connection, 0);
        assert.match(stalled.message, /negotiationneeded/);
        assert.ok(calls >= 1);
      });

      it("a restart that the app began is reported as the app's", async () => {
        const begun = await stage.run(async () => {
          const { SdkCall } = await import("/harness/sdk-call.mjs");
          const { until } = await import("/harness/call.mjs");
          const call = await SdkCall.open({ options: { source: "/turn" } });
          await new Promise((resolve) => setTimeout(resolve, 500));
          call.call.ends[1].pc.restartIce();
          await until(() => call.heard.filter(({ type }) => type === "restarted").length >= 2, "restarted at both ends", 10_000);
          const result = await call.finish();
          return result.heard.filter(({ type }) => type === "restarting").map(({ detail }) => detail);
        });
        assert.deepEqual(begun.find(({ connection }) => connection === 1), { connection: 1, initiator: "local", reason: "other" });
        assert.equal(begun.find(({ connection }) => connection === 0).initiator, "remote");
      });
    });
  }
});
