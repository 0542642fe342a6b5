// The product's promise, on real parts: a relayed call outlives its credentials. The TURN server is the demo backend's,
// which deletes the allocations of an expired username within a second, as Cloudflare documents.
//
// Three calls run at the same time on one page in each browser: both ends on one session; a session for each end; and
// plain JavaScript that refreshes its servers but does not restart ICE, which must lose its call.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { BROWSERS, openBrowser } from "../harness/browsers.mjs";
import { DemoServer } from "../harness/demo-server.mjs";
import { assertCallLived, assertNeverStale, describeCall } from "../harness/verdict.mjs";

const TTL_SECONDS = 20;
const CALL_SECONDS = 120;

async function threeCalls({ seconds }) {
  const { SdkCall } = await import("/harness/sdk-call.mjs");
  const { PlainCall } = await import("/harness/plain-call.mjs");
  const options = { source: "/api/turn-credentials" };
  const fetchServers = async () => (await fetch("/api/turn-credentials", { method: "POST" })).json();
  const calls = await Promise.all([
    SdkCall.open({ shared: true, options }),
    SdkCall.open({ shared: false, options }),
    PlainCall.open({ fetchServers }),
  ]);
  const [shared, separate] = calls;
  shared.sample();
  separate.sample();
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  return await Promise.all(calls.map((call) => call.finish()));
}

describe("a relayed call that outlives its credentials", { concurrency: true }, () => {
  for (const name of BROWSERS) {
    describe(name, () => {
      let server;
      let browser;
      let page;
      let calls;

      before(async () => {
        server = await DemoServer.start({ ttl: TTL_SECONDS });
        browser = await openBrowser(name);
        page = await browser.page(server.page);
        const [shared, separate, plain] = await page.evaluate(threeCalls, { seconds: CALL_SECONDS });
        calls = { shared, separate, plain };
      });
      after(async () => {
        await browser?.close();
        await server?.stop();
      });

      for (const [kind, sentence] of [
        ["shared", "with one session for both ends no message is lost or repeated and no gap reaches a second"],
        ["separate", "with a session for each end no message is lost or repeated and no gap reaches a second"],
      ]) {
        it(sentence, (t) => {
          describeCall(t, `${name}, ${kind}`, calls[kind]);
          assertCallLived(calls[kind], { seconds: CALL_SECONDS });
        });
      }

      for (const kind of ["shared", "separate"]) {
        it(`the TURN server saw allocations under at least four usernames (${kind})`, (t) => {
          const served = new Set(calls[kind].usernames.map((username) => username.slice(0, 8)));
          const allocated = new Set(server.allocations.map(({ username }) => username).filter((username) => served.has(username)));
          t.diagnostic(`${name}, ${kind}: ${allocated.size} usernames allocated, ${served.size} served`);
          assert.ok(allocated.size >= 4, `allocations under ${[...allocated]} only`);
        });

        it(`the call never stood on an expired credential (${kind})`, (t) => {
          const closest = assertNeverStale(calls[kind].pairs, server);
          t.diagnostic(`${name}, ${kind}: ${calls[kind].pairs.length} samples, at least ${Math.round(closest)} ms before expiry`);
          assert.ok(calls[kind].pairs.length > CALL_SECONDS, "the selected pairs were not sampled");
        });
      }

      it("no allocation was made with an expired credential, and none outlived one by more than a second", () => {
        const { credentials, allocations } = server;
        for (const { username, createdAt, goneAt } of allocations) {
          const { expiresAt } = credentials.get(username);
          assert.ok(createdAt < expiresAt, `${username} allocated ${createdAt - expiresAt} ms after its expiry`);
          const late = (goneAt ?? Date.now()) - expiresAt;
          assert.ok(late <= 1000, `${username} still held an allocation ${late} ms after its expiry`);
        }
      });

      it("plain JavaScript that only refreshes its servers loses the call", (t) => {
        const { ends, refreshes } = calls.plain;
        const silence = Math.min(...ends.map((end) => end.silence));
        t.diagnostic(
          `${name}, plain: ${refreshes} refreshes, silent for the last ${Math.round(silence / 1000)} s, ` +
            `${ends.map((end) => end.connectionState)}, ${ends.map((end) => end.sent - end.received)} messages not delivered`,
        );
        assert.ok(refreshes >= 4, `only ${refreshes} refreshes`);
        assert.ok(silence > (CALL_SECONDS - 3 * TTL_SECONDS) * 1000, `silent for ${silence} ms only`);
        for (const end of ends) assert.equal(end.connectionState, "failed");
      });

      it("nothing went wrong unseen on the page", () => {
        // Firefox says so itself about the plain call.
        const troubles = page.troubles.filter((trouble) => !trouble.includes("WebRTC: ICE failed"));
        assert.deepEqual(troubles, []);
        assert.deepEqual(
          [...calls.shared.heard, ...calls.separate.heard].filter(({ type }) =>
            ["refresherror", "expired", "applyerror", "restartstalled", "connectionlost", "warning"].includes(type),
          ),
          [],
        );
      });
    });
  }
});
