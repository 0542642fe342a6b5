// The TURN server falls silent. When it comes back before the browser has given up, the call goes on as a plain one does
// beside it; when it does not, the app is told to build a new connection, or the call recovers where the browser can.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { BROWSERS } from "../harness/browsers.mjs";
import { Stage } from "../harness/stage.mjs";

/** Calls that live through `silence` ms without a TURN server: the package's, and a plain one. */
async function callsWithout({ silence, settle }) {
  const { SdkCall } = await import("/harness/sdk-call.mjs");
  const { PlainCall } = await import("/harness/plain-call.mjs");
  const { until } = await import("/harness/call.mjs");
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const fetchServers = async () => (await fetch("/turn", { method: "POST" })).json();
  const [call, plain] = await Promise.all([SdkCall.open({ options: { source: "/turn" } }), PlainCall.open({ fetchServers })]);
  await wait(1500);
  const from = Date.now();
  await fetch("/coturn/pause", { method: "POST" });
  await wait(silence);
  await fetch("/coturn/resume", { method: "POST" });
  // All that was sent, but for what is on its way.
  const flows = (ends) => ends.every(({ channel, tally }) => channel.readyState === "open" && tally.sent - tally.received < 50);
  await until(() => flows(call.call.ends) && flows(plain.call.ends), "messages flow again", settle).catch(() => {});
  await wait(2000);
  const lost = call.heard.some(({ type }) => type === "connectionlost");
  let anew = null;
  if (lost) {
    const { Call } = await import("/harness/call.mjs");
    const again = new Call([0, 1].map(() => call.sessions[0].createPeerConnection({ iceTransportPolicy: "relay" })));
    anew = await again.start().then(() => "connected", String);
    again.close();
  }
  const alive = flows(call.call.ends);
  const plainAlive = flows(plain.call.ends);
  const plainEnds = (await plain.finish()).ends;
  let aliveAfterRefresh = null;
  if (alive) {
    await call.sessions[0].refresh();
    // Long enough for a restart, and for Firefox to give up on one that fails.
    await wait(8000);
    aliveAfterRefresh = flows(call.call.ends);
  }
  return { from, alive, aliveAfterRefresh, lost, anew, plainAlive, plainEnds, ...(await call.finish()) };
}

describe("a TURN server that falls silent", { concurrency: true }, () => {
  for (const name of BROWSERS) {
    // One at a time: they share a server and what it hands out.
    describe(name, { concurrency: 1 }, () => {
      let stage;

      before(async () => {
        stage = await Stage.open(name);
        for (const act of ["pause", "resume"]) {
          stage.site.on(`/coturn/${act}`, (_request, response) => {
            stage.coturn[act]();
            response.writeHead(204).end();
          });
        }
      });
      after(async () => {
        await stage?.close();
      });

      function tell(t, what, { from, heard, ends, plainEnds }) {
        const said = heard
          .filter(({ at, type }) => at >= from && ["refreshed", "restarting", "restarted", "restartstalled", "connectionlost"].includes(type))
          .map(({ at, type, detail }) => `${type}${detail.reason ? ` (${detail.reason})` : ""} +${at - from} ms`);
        t.diagnostic(`${name}, ${what}: largest gap ${ends.map((end) => end.largestGap)} ms, plain ${plainEnds.map((end) => end.largestGap)} ms; ${said.join(", ") || "no event"}`);
      }

      for (const seconds of [12, 24]) {
        // A restart that began while the server is silent would be lost in Firefox, and the next one would end the call.
        it(`for ${seconds} s: the call goes on, also over the next refresh, and loses nothing`, async (t) => {
          const result = await stage.run(callsWithout, { silence: seconds * 1000, settle: 20_000 }, { within: 90_000 });
          tell(t, `silent for ${seconds} s`, result);
          assert.ok(result.plainAlive, "the plain call must live for this test to mean anything");
          assert.ok(result.alive, JSON.stringify(result.ends));
          assert.equal(result.lost, false);
          assert.ok(result.aliveAfterRefresh, "the refresh after the outage cost the call");
          for (const end of result.ends) {
            assert.equal(end.lost, 0);
            assert.equal(end.repeated, 0);
            assert.equal(end.received, end.sent);
          }
        });
      }

      it("for 45 s: the call recovers, or the app is told and a new connection works at once", async (t) => {
        const result = await stage.run(callsWithout, { silence: 45_000, settle: 15_000 }, { within: 120_000, expected: [/WebRTC: ICE failed/] });
        tell(t, "silent for 45 s", result);
        if (name === "chromium") {
          assert.ok(result.alive, "Chromium can recover a failed connection");
          for (const end of result.ends) assert.equal(end.received, end.sent);
        } else {
          assert.ok(result.lost, "no connectionlost event");
          assert.equal(result.anew, "connected");
        }
      });
    });
  }
});
