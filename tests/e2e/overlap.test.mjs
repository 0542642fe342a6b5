// Both ends restart at nearly the same time. Two restarts that overlap kill a call for good in Firefox, so sessions that know
// nothing of each other must keep out of each other's way. Beside them, plain JavaScript that restarts at both ends 60 ms
// apart shows that the danger is real.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { BROWSERS, openBrowser } from "../harness/browsers.mjs";
import { DemoServer } from "../harness/demo-server.mjs";
import { assertCallLived, describeCall } from "../harness/verdict.mjs";

const OFFSETS_MS = [0, 30, 60, 100, 200, 350];

/** One call for each offset; end 1's session is refreshed that much later than end 0's. Twice, in both orders. */
async function sdkCalls({ offsets, options }) {
  const { SdkCall } = await import("/harness/sdk-call.mjs");
  const { until } = await import("/harness/call.mjs");
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const one = async (offset) => {
    const call = await SdkCall.open({ shared: false, options });
    await wait(1500);
    const rounds = [];
    for (const [first, second] of [[0, 1], [1, 0]]) {
      const from = call.heard.length;
      const refreshes = [call.sessions[first].refresh(), wait(offset).then(() => call.sessions[second].refresh())];
      await Promise.all(refreshes);
      const restarted = (end) => call.heard.slice(from).some(({ type, detail }) => type === "restarted" && detail.connection === end);
      const problem = await until(() => restarted(0) && restarted(1), "both ends restarted", 20_000).then(() => null, String);
      // A second restart, if one were to come, would come now.
      await wait(4000);
      const restarts = call.heard.slice(from).filter(({ type }) => type === "restarting").map(({ detail }) => `${detail.connection}:${detail.initiator}`);
      rounds.push({ problem, restarts });
    }
    return { offset, rounds, ...(await call.finish()) };
  };
  return await Promise.all(offsets.map(one));
}

/** Plain JavaScript: fresh servers, then `restartIce()` at both ends, 60 ms apart. */
async function plainCall() {
  const { Call } = await import("/harness/call.mjs");
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const fresh = async () => (await (await fetch("/api/turn-credentials", { method: "POST" })).json()).iceServers;
  const configuration = { iceServers: await fresh(), iceTransportPolicy: "relay" };
  const call = new Call([new RTCPeerConnection(configuration), new RTCPeerConnection(configuration)]);
  await call.start();
  await wait(1500);
  const iceServers = await fresh();
  for (const { pc } of call.ends) pc.setConfiguration({ ...pc.getConfiguration(), iceServers });
  call.ends[0].pc.restartIce();
  await wait(60);
  call.ends[1].pc.restartIce();
  await wait(8000);
  const ends = call.report();
  call.close();
  return { ends };
}

describe("restarts of both ends at nearly the same time", { concurrency: true }, () => {
  for (const name of BROWSERS) {
    describe(name, () => {
      let server;
      let browser;
      let calls;
      let plain;

      before(async () => {
        server = await DemoServer.start({ ttl: 600 });
        browser = await openBrowser(name);
        const page = await browser.page(server.page);
        [calls, plain] = await Promise.all([
          page.evaluate(sdkCalls, { offsets: OFFSETS_MS, options: { source: "/api/turn-credentials" } }),
          page.evaluate(plainCall),
        ]);
      });
      after(async () => {
        await browser?.close();
        await server?.stop();
      });

      for (const [index, offset] of OFFSETS_MS.entries()) {
        it(`sessions that refresh ${offset} ms apart keep the call`, (t) => {
          const call = calls[index];
          describeCall(t, `${name}, ${offset} ms apart`, call);
          for (const { problem, restarts } of call.rounds) {
            t.diagnostic(`${name}, ${offset} ms apart: restarts ${restarts.join(" ")}`);
            if (problem) for (const { at, session, type, detail } of call.heard) t.diagnostic(`${at} session ${session} ${type} ${JSON.stringify(detail)}`);
            assert.equal(problem, null);
          }
          // Six calls that all restart at once on two cores: a lost packet waits for SCTP's timer, a second and more.
          assertCallLived(call, { seconds: 8, largestGap: 5000 });
          assert.ok(!call.heard.some(({ type }) => type === "connectionlost"));
        });
      }

      it(`plain JavaScript that restarts 60 ms apart ${name === "firefox" ? "loses" : "stalls or keeps"} its call`, (t) => {
        t.diagnostic(
          `${name}, plain: ${plain.ends.map((end) => end.connectionState)}, ` +
            `largest gap ${plain.ends.map((end) => end.largestGap)} ms, silent for ${plain.ends.map((end) => end.silence)} ms`,
        );
        if (name === "firefox") {
          for (const end of plain.ends) {
            assert.notEqual(end.channel, "open");
            assert.ok(end.silence > 5000);
          }
        } else {
          for (const end of plain.ends) assert.equal(end.connectionState, "connected");
        }
      });
    });
  }
});
