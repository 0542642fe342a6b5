// The README's WHIP publication, as it stands there, against an endpoint that receives it through the relay.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { BROWSERS } from "../harness/browsers.mjs";
import { Stage } from "../harness/stage.mjs";
import { WhipEndpoint } from "../harness/whip-endpoint.mjs";

const README = await readFile(new URL("../../README.md", import.meta.url), "utf8");
const [, PUBLISH] = /```js\n((?:(?!```)[^])*application\/sdp(?:(?!```)[^])*)```/.exec(README);

// Runs in the page. Only the relay can carry it, and the endpoint knows of no candidate but those in the offer.
async function publish({ code, endpoint, token }) {
  const { openTurnSession } = await import("/pkg/index.js");
  const { selectedPair, until } = await import("/harness/call.mjs");
  const { pictures } = await import("/harness/kept-call.mjs");
  const session = await openTurnSession({ source: "/turn", trickle: false });
  const turn = {
    createPeerConnection: () => session.createPeerConnection({ iceTransportPolicy: "relay" }),
    localDescription: (pc) => session.localDescription(pc),
  };
  const stream = pictures();
  const AsyncFunction = (async () => {}).constructor;
  const { pc, resource } = await new AsyncFunction("turn", "stream", "endpoint", "token", `${code}\nreturn { pc, resource };`)(
    turn, stream, endpoint, token);
  const { local } = await until(async () => pc.connectionState === "connected" && (await selectedPair(pc)), "connected", 20_000);
  window.leave = async () => {
    const response = await fetch(resource, { method: "DELETE", headers: { authorization: `Bearer ${token}` } });
    pc.close();
    await session.close();
    return response.status;
  };
  return { resource: resource.href, path: local.candidateType };
}

for (const name of BROWSERS) {
  describe(`a WHIP publication in ${name}`, () => {
    const token = "the-publisher's-token";
    let stage;
    let endpoint;

    before(async () => {
      stage = await Stage.open(name);
      // Reachable through the relay alone.
      endpoint = await WhipEndpoint.open(stage, token, () => ({ iceServers: stage.coturn.iceServers({ ttl: 600 }), iceTransportPolicy: "relay" }));
    });
    after(async () => {
      await stage?.close();
    });

    it("is one request with all candidates in it, arrives through the relay, and ends", async () => {
      assert.ok(PUBLISH.trim().split("\n").length <= 12, PUBLISH);
      const page = await stage.browser.page(stage.site.page);
      const { resource, path } = await page.evaluate(publish, { code: PUBLISH, endpoint: stage.site.url("/whip"), token });
      assert.equal(path, "relay");
      const { pathname } = new URL(resource);
      const deadline = Date.now() + 20_000;
      while ((await endpoint.framesDecoded(pathname)) < 10) {
        assert.ok(Date.now() < deadline, "the endpoint decoded no ten frames within 20 s");
        await wait(100);
      }
      assert.equal(await page.evaluate(() => window.leave()), 200);
      const [{ headers, body: offer }] = endpoint.requests;
      assert.deepEqual(endpoint.requests.map(({ method, path }) => [method, path]), [["POST", "/whip"], ["DELETE", pathname]]);
      assert.equal(headers["content-type"], "application/sdp");
      assert.match(offer, / typ relay/);
      assert.match(offer, /a=sendonly/);
      assert.deepEqual([...page.troubles, ...endpoint.troubles], []);
    });
  });
}
