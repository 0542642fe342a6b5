// A credential that is taken back: by the app as it closes its session, and by the provider in the middle of a call.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { BROWSERS, openBrowser } from "../harness/browsers.mjs";
import { DemoServer } from "../harness/demo-server.mjs";
import { assertCallLived, describeCall } from "../harness/verdict.mjs";

/** Gathers with these servers, relay only. */
async function gather(iceServers) {
  const { until } = await import("/harness/call.mjs");
  const pc = new RTCPeerConnection({ iceServers, iceTransportPolicy: "relay" });
  const candidates = [];
  const errors = [];
  pc.addEventListener("icecandidate", ({ candidate }) => candidate?.candidate && candidates.push(candidate.type));
  pc.addEventListener("icecandidateerror", ({ errorCode }) => errors.push(errorCode));
  pc.createDataChannel("numbers");
  await pc.setLocalDescription();
  await until(() => pc.iceGatheringState === "complete", "gathering complete", 15_000);
  pc.close();
  return { candidates, errors };
}

async function closeWithRevocation() {
  const { openTurnSession } = await import("/pkg/index.js");
  const session = await openTurnSession({ source: "/api/turn-credentials", revoke: "/api/turn-credentials/revoke" });
  const first = session.iceServers;
  await session.refresh();
  const second = session.iceServers;
  await session.close({ revoke: true });
  return { given: [first, second], status: session.state.status };
}

async function callThatLosesItsCredential({ shared, lag }) {
  const { SdkCall, revokeCredential } = await import("/harness/sdk-call.mjs");
  const { until } = await import("/harness/call.mjs");
  const slow = async ({ reason }) => {
    if (reason !== "initial") await new Promise((resolve) => setTimeout(resolve, lag));
    return (await fetch("/api/turn-credentials", { method: "POST" })).json();
  };
  const call = await SdkCall.open({ shared, options: { source: "/api/turn-credentials" }, second: { source: slow } });
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const revokedAt = Date.now();
  for (const session of call.sessions) await revokeCredential(session);
  const repaired = () =>
    call.call.ends.every(({ pc, tally }) => pc.connectionState === "connected" && tally.report.silence < 500) &&
    call.sessions.every((_, index) => call.heard.some(({ type, session }) => type === "refreshed" && session === index)) &&
    call.heard.some(({ type }) => type === "restarted");
  const problem = await until(repaired, "the call goes on", 45_000).then(
    () => null,
    (error) => String(error),
  );
  await new Promise((resolve) => setTimeout(resolve, 2000));
  return { revokedAt, problem, ...(await call.finish()) };
}

/** Calls whose two credentials the provider takes back, at a moment of its own for each: ms after they were opened. */
async function callsThatLoseTheirCredentials(moments) {
  const { SdkCall, revokeCredential } = await import("/harness/sdk-call.mjs");
  const { until } = await import("/harness/call.mjs");
  const lose = async (moment) => {
    const call = await SdkCall.open({ shared: false, options: { source: "/api/turn-credentials" } });
    await new Promise((resolve) => setTimeout(resolve, moment));
    const revokedAt = Date.now();
    for (const session of call.sessions) await revokeCredential(session);
    const heard = (type, of) => call.heard.some((event) => event.type === type && event.at > revokedAt && of(event));
    const decided = () =>
      heard("connectionlost", () => true) ||
      ([0, 1].every((end) => heard("refreshed", ({ session }) => session === end) && heard("restarted", ({ detail }) => detail.connection === end)) &&
        call.call.ends.every(({ tally }) => tally.report.silence < 500));
    const problem = await until(decided, "the call goes on, or is told to be lost", 45_000).then(() => null, String);
    const { ends, heard: all } = await call.finish();
    const noticed = all.filter(({ at, type }) => type === "refreshed" && at > revokedAt).map(({ at }) => at - revokedAt);
    return { moment, problem, lost: all.some(({ type }) => type === "connectionlost"), messagesLost: ends.map((end) => end.lost), noticed };
  };
  return Promise.all(moments.map(lose));
}

/** The provider takes back the credential that a restart is about to gather from. */
async function callThatLosesItsCredentialAtARestart({ lag }) {
  const { SdkCall, revokeCredential } = await import("/harness/sdk-call.mjs");
  const { until } = await import("/harness/call.mjs");
  const call = await SdkCall.open({ options: { source: "/api/turn-credentials" } });
  const [session] = call.sessions;
  await until(() => call.call.ends.every(({ tally }) => tally.report.received > 20), "messages");
  const restarting = new Promise((resolve) => session.addEventListener("restarting", resolve, { once: true }));
  await session.refresh();
  await restarting;
  await new Promise((resolve) => setTimeout(resolve, lag));
  const revokedAt = Date.now();
  await revokeCredential(session);
  const after = (type) => call.heard.some((event) => event.type === type && event.at > revokedAt);
  // In Chromium the path of the generation before may go on carrying the call, with nothing to mend.
  const flows = () => Date.now() > revokedAt + 20_000 && call.call.ends.every(({ tally }) => tally.report.silence < 500);
  const decided = () => after("connectionlost") || flows();
  let problem = await until(decided, "the call goes on, or is told to be lost", 75_000).then(() => null, String);
  if (!problem && !after("connectionlost")) {
    // What flows may still be the path of the generation before, which ends with its credential: both ends must be able to move on.
    const from = Date.now();
    const moved = (index) => call.heard.some(({ at, type, detail }) => at >= from && type === "restarted" && detail.connection === index);
    await session.refresh();
    problem = await until(() => after("connectionlost") || (moved(0) && moved(1)), "both ends move over to another credential", 60_000).then(() => null, String);
  }
  return { problem, lost: after("connectionlost"), took: Date.now() - revokedAt, ...(await call.finish()), revokedAt };
}

describe("revocation", { concurrency: true }, () => {
  for (const name of BROWSERS) {
    describe(name, () => {
      let server;
      let browser;
      let page;

      before(async () => {
        server = await DemoServer.start({ ttl: 600 });
        browser = await openBrowser(name);
        page = await browser.page(server.page);
      });
      after(async () => {
        await browser?.close();
        await server?.stop();
      });

      it("after close({ revoke: true }) every username of the session is refused", async () => {
        const control = await page.evaluate(gather, await page.evaluate(async () => {
          const response = await fetch("/api/turn-credentials", { method: "POST" });
          return (await response.json()).iceServers;
        }));
        assert.ok(control.candidates.includes("relay"), "a live credential must give a relay candidate for this test to mean anything");
        const { given, status } = await page.evaluate(closeWithRevocation);
        assert.equal(status, "closed");
        assert.notDeepEqual(given[0], given[1]);
        for (const servers of given) {
          const { candidates, errors } = await page.evaluate(gather, servers);
          assert.deepEqual(candidates, []);
          assert.ok(errors.includes(401), `errors: ${errors}`);
        }
      });

      for (const { shared, lag, sessions } of [
        { shared: true, lag: 0, sessions: "one session for both ends" },
        { shared: false, lag: 0, sessions: "a session for each end" },
        { shared: false, lag: 500, sessions: "a session for each end, one backend half a second slower" },
      ]) {
        it(`a call goes on when the provider revokes its credential (${sessions})`, async (t) => {
          const result = await page.evaluate(callThatLosesItsCredential, { shared, lag });
          describeCall(t, `${name}, revoked, ${sessions}`, result);
          const after = result.heard.filter(({ at }) => at >= result.revokedAt);
          const refreshed = after.filter(({ type }) => type === "refreshed");
          t.diagnostic(
            `${name}, revoked, ${sessions}: ` +
              after
                .filter(({ type }) => ["refreshed", "restarting", "restarted", "connectionlost"].includes(type))
                .map(({ at, type, detail }) => `${type}${detail.reason ? ` (${detail.reason})` : ""} +${at - result.revokedAt} ms`)
                .join(", "),
          );
          assert.equal(result.problem, null);
          assert.ok(refreshed.length > 0 && refreshed.every(({ detail }) => detail.reason === "rejected"), JSON.stringify(refreshed));
          assert.ok(after.some(({ type }) => type === "restarted"), "no restart");
          assert.ok(!after.some(({ type }) => type === "connectionlost"), "a connection was given up");
          // The allocations are gone until the restart, so the gap is as long as the browser takes to notice.
          const interruptions = new Set(["disconnected", "failed"]);
          assertCallLived({ ...result, events: result.events.filter(({ value }) => !interruptions.has(value)) }, { seconds: 4, largestGap: 30_000 });
          assert.ok(!result.events.some(({ what, value }) => what === "connectionState" && value === "failed"), "a connection failed");
        });
      }

      it("calls whose two credentials are revoked go on, however far apart their ends notice it", async (t) => {
        // Each end looks whether its path is still there at moments of its own, in Firefox every four to six seconds.
        const moments = Array.from({ length: 16 }, (_, index) => 2000 + 1100 * index);
        const calls = await page.evaluate(callsThatLoseTheirCredentials, moments);
        const apart = calls.map(({ noticed }) => Math.max(...noticed) - Math.min(...noticed));
        t.diagnostic(`${name}: two ends had other credentials ${apart.toSorted((a, b) => a - b).join(", ")} ms apart`);
        const bad = calls.filter(({ problem, lost, messagesLost }) => problem || lost || messagesLost.some(Boolean));
        assert.deepEqual(bad, []);
      });

      for (const lag of [0, 100, 200]) {
        it(`a call whose credential is revoked ${lag} ms after a restart with it began goes on, or is told to be lost`, async (t) => {
          const { problem, lost, took, heard, revokedAt } = await page.evaluate(callThatLosesItsCredentialAtARestart, { lag });
          t.diagnostic(
            `${name}: ${lost ? "lost" : "went on"} after ${took} ms: ` +
              heard
                .filter(({ at, type }) => at >= revokedAt && type !== "statechange")
                .map(({ at, type, detail }) => `${type}${detail?.reason ? ` (${detail.reason})` : ""} +${at - revokedAt} ms`)
                .join(", "),
          );
          assert.equal(problem, null);
        });
      }
    });
  }
});
