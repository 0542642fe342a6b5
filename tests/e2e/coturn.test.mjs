// The same promise against coturn with time-limited REST credentials. coturn lets an expired credential live on in an
// allocation that exists and refuses only new ones, so this shows that a refresh and its restart suit the most widely used
// server too.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { BROWSERS, openBrowser } from "../harness/browsers.mjs";
import { Coturn } from "../harness/coturn.mjs";
import { Site } from "../harness/site.mjs";
import { assertCallLived, describeCall } from "../harness/verdict.mjs";

const TTL_SECONDS = 20;
const CALL_SECONDS = 60;

async function twoCalls({ seconds }) {
  const { SdkCall } = await import("/harness/sdk-call.mjs");
  const options = { source: "/turn" };
  const calls = await Promise.all([SdkCall.open({ shared: true, options }), SdkCall.open({ shared: false, options })]);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  return await Promise.all(calls.map((call) => call.finish()));
}

describe("a relayed call over coturn", { concurrency: true }, () => {
  for (const name of BROWSERS) {
    describe(name, () => {
      let coturn;
      let site;
      let browser;
      let calls;

      before(async () => {
        coturn = await Coturn.start();
        site = await Site.start();
        // The TURN REST form: the username says when it ends, and nothing else does.
        site.json("/turn", () => ({ iceServers: coturn.iceServers({ ttl: TTL_SECONDS, transports: ["udp", "tcp"] }) }));
        browser = await openBrowser(name);
        const page = await browser.page(site.page);
        const [shared, separate] = await page.evaluate(twoCalls, { seconds: CALL_SECONDS });
        calls = { shared, separate };
      });
      after(async () => {
        await browser?.close();
        await site?.stop();
        await coturn?.stop();
      });

      for (const kind of ["shared", "separate"]) {
        it(`goes on past the end of its credentials (${kind})`, (t) => {
          describeCall(t, `${name}, coturn, ${kind}`, calls[kind]);
          assertCallLived(calls[kind], { seconds: CALL_SECONDS });
          for (const { ttlSource } of calls[kind].states) assert.equal(ttlSource, "username");
        });

        it(`coturn's log shows at least three usernames (${kind})`, (t) => {
          const served = new Set(calls[kind].usernames);
          const allocated = coturn.allocatedUsernames.filter((username) => served.has(username));
          t.diagnostic(`${name}, coturn, ${kind}: ${allocated.length} usernames allocated`);
          assert.ok(allocated.length >= 3, `allocations under ${allocated} only`);
        });
      }
    });
  }
});
