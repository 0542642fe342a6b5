// The guide's code for offers and restarts, as it is printed there: a relayed call between two sessions, each end with fresh
// credentials of its own.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { BROWSERS } from "../harness/browsers.mjs";
import { printed } from "../harness/markdown.mjs";
import { Stage } from "../harness/stage.mjs";

const GUIDE = "docs/guide.md";
const NEGOTIATION = await printed(GUIDE, "js", "Perfect negotiation");
const OFFERS = await printed(GUIDE, "js", "One end makes all offers");
const WITHOUT_TRICKLE = await printed(GUIDE, "js", "Restarts without trickle ICE");
const MOVE_OVER = await printed(GUIDE, "js", "Testing your app with short lifetimes");

/** What every page function below begins with: two sessions, a connection of each, and what happens to them. */
async function begin({ sources }) {
  const { openTurnSession } = await import("/pkg/index.js");
  const { Line, until } = await import("/harness/call.mjs");
  const { listen } = await import("/harness/sdk-call.mjs");
  const sessions = await Promise.all(sources.map((source) => openTurnSession({ source })));
  const pcs = sessions.map((session) => session.createPeerConnection({ iceTransportPolicy: "relay" }));
  const heard = listen(sessions, pcs);
  const lines = Line.pair({ delay: 0 });
  const offers = [];
  lines.forEach((line, end) => {
    const { send } = line;
    line.send = (message) => {
      if (message.description?.type === "offer") offers.push(end);
      send.call(line, message);
    };
  });

  // Messages both ways on one channel, all the time: on an idle one Chromium sees late that the path is another.
  const got = [0, 0];
  let talking;
  const connected = async () => {
    await until(() => channels.length === 2 && channels.every((channel) => channel.readyState === "open"), "connected", 20_000);
    talking = setInterval(() => channels.forEach((channel) => channel.send("1")), 20);
    channels.forEach((channel, end) => (channel.onmessage = () => got[end]++));
  };
  const channels = [pcs[0].createDataChannel("numbers")];
  pcs[1].addEventListener("datachannel", ({ channel }) => channels.push(channel));
  // Resolves once messages go both ways from now on.
  const carries = async () => {
    got.fill(0);
    await until(() => got.every((count) => count > 5), "messages each way", 10_000);
  };
  const end = async () => {
    clearInterval(talking);
    for (const session of sessions) await session.close();
    for (const pc of pcs) pc.close();
    return { heard, offers };
  };
  return { sessions, pcs, lines, heard, offers, connected, carries, until, end };
}

const of = (heard, type) => heard.filter((event) => event.type === type);

describe("the guide's code", { concurrency: true }, () => {
  for (const name of BROWSERS) {
    describe(name, { concurrency: 1 }, () => {
      let stage;

      before(async () => {
        stage = await Stage.open(name);
        stage.site.json("/turn/short", () => ({ iceServers: stage.coturn.iceServers({ ttl: 12 }), ttl: 12 }), 201);
        for (const [path, code] of Object.entries({
          "/guide/begin.mjs": `export ${begin}`,
          "/guide/negotiate.mjs": `${NEGOTIATION}\nexport { negotiate };`,
          "/guide/offers.mjs": `${OFFERS}\nexport { offerer, answerer };`,
          "/guide/move-over.mjs": `${MOVE_OVER}\nexport { moveOver };`,
        })) {
          stage.site.on(path, (request, response) => response.writeHead(200, { "content-type": "text/javascript" }).end(code));
        }
      });
      after(async () => {
        await stage?.close();
      });

      it("perfect negotiation moves a call over when both ends were refreshed, time after time", async () => {
        const { heard, offers } = await stage.run(
          async () => {
            const { begin } = await import("/guide/begin.mjs");
            const { negotiate } = await import("/guide/negotiate.mjs");
            const { moveOver } = await import("/guide/move-over.mjs");
            const call = await begin({ sources: ["/turn", "/turn"] });
            call.pcs.forEach((pc, end) => negotiate(pc, call.lines[end], { polite: end === 1 }));
            await call.connected();
            for (let round = 0; round < 3; round++) {
              await moveOver(...call.sessions);
              await call.carries();
            }
            return call.end();
          },
          undefined,
          { within: 60_000 },
        );
        const begun = of(heard, "restarting").filter(({ detail }) => detail.initiator === "local");
        assert.deepEqual(begun.map(({ detail }) => detail.reason), ["refresh", "refresh", "refresh"]);
        assert.equal(of(heard, "restarted").length, 6);
        assert.deepEqual([of(heard, "restartstalled"), of(heard, "connectionlost")], [[], []]);
        // The call's own one, and one a restart.
        assert.equal(offers.length, 4);
      });

      it("in perfect negotiation candidates of an ignored offer are no error, though an answer comes in one breath with them", async () => {
        const outcomes = await stage.run(async () => {
          const { until } = await import("/harness/call.mjs");
          const patterns = [await import("/guide/negotiate.mjs"), await import("/www/negotiation.js")];
          return Promise.all(patterns.map(async ({ negotiate }) => {
            const [pc, other] = [new RTCPeerConnection(), new RTCPeerConnection()];
            const line = Object.assign(new EventTarget(), { sent: [], send: (message) => line.sent.push(message) });
            const arrives = (detail) => line.dispatchEvent(new CustomEvent("message", { detail }));
            const errors = [];
            // The guide's pattern tells the console, and that is in the page's troubles.
            negotiate(pc, line, { polite: false, onerror: (error) => errors.push(String(error)) });
            pc.createDataChannel("numbers");
            await until(() => line.sent.length > 0 && pc.signalingState === "have-local-offer", "the impolite end's offer", 5000);
            // The polite end offers at the same time, and takes it back.
            other.createDataChannel("numbers");
            const candidates = [];
            other.onicecandidate = ({ candidate }) => candidate && candidates.push(candidate.toJSON());
            await other.setLocalDescription();
            const offer = other.localDescription.toJSON();
            await until(() => candidates.length > 0, "its candidate", 5000);
            await other.setRemoteDescription(line.sent.find(({ description }) => description).description);
            await other.setLocalDescription();
            for (const message of [{ description: offer }, { candidate: candidates[0] }, { description: other.localDescription.toJSON() }]) arrives(message);
            await until(() => pc.signalingState === "stable", "the answer is taken", 5000);
            pc.close();
            other.close();
            return errors;
          }));
        });
        assert.deepEqual(outcomes, [[], []]);
      });

      it("an end that only answers gets its restarts from the end that makes all offers", async () => {
        const { heard, offers } = await stage.run(
          async () => {
            const { begin } = await import("/guide/begin.mjs");
            const { offerer, answerer } = await import("/guide/offers.mjs");
            // The end that offers needs no restart of its own in this time.
            const call = await begin({ sources: ["/turn", "/turn/short"] });
            answerer(call.pcs[1], call.lines[1], call.sessions[1]);
            offerer(call.pcs[0], call.lines[0]);
            await call.connected();
            const asked = () => call.heard.filter(({ type, session, detail }) => session === 1 && type === "restarting" && detail.initiator === "local").length;
            await call.until(() => asked() >= 2 && call.heard.filter(({ type }) => type === "restarted").length >= 4, "two restarts", 60_000);
            await call.carries();
            return call.end();
          },
          undefined,
          { within: 90_000 },
        );
        assert.deepEqual([of(heard, "restartstalled"), of(heard, "connectionlost")], [[], []]);
        assert.deepEqual([...new Set(offers)], [0]);
        const asked = of(heard, "restarting").filter(({ session, detail }) => session === 1 && detail.initiator === "local").length;
        // The first one is the call's own; the last one may have been on its way. None is made twice, and none without need.
        assert.ok(offers.length === asked || offers.length === asked + 1, `${offers.length} offers, ${asked} asked for`);
      });

      it("without trickle ICE the first offer and every restart go the same way", async () => {
        const { heard, posts } = await stage.run(
          async (code) => {
            const { begin } = await import("/guide/begin.mjs");
            // Only the one end can begin here, and only it has to.
            const call = await begin({ sources: ["/turn/short", "/turn"] });
            const [pc, other] = call.pcs;
            const posts = [];
            const fetch = async (path, { body }) => {
              const offer = JSON.parse(body);
              posts.push({ path, type: offer.type, relays: offer.sdp.match(/ typ relay/g)?.length ?? 0 });
              await other.setRemoteDescription(offer);
              await other.setLocalDescription();
              return Response.json(await call.sessions[1].localDescription(other));
            };
            new Function("pc", "turn", "fetch", code)(pc, call.sessions[0], fetch);
            await call.connected();
            await call.until(() => call.heard.filter(({ type }) => type === "restarted").length >= 2, "restarted", 40_000);
            await call.carries();
            return { ...(await call.end()), posts };
          },
          WITHOUT_TRICKLE,
          { within: 60_000 },
        );
        assert.ok(posts.length >= 2);
        for (const { path, type, relays } of posts) {
          assert.deepEqual([path, type], ["/api/call", "offer"]);
          assert.ok(relays >= 1);
        }
        const { session, detail } = of(heard, "restarting").find(({ detail }) => detail.initiator === "local");
        assert.deepEqual([session, detail.reason], [0, "refresh"]);
        assert.deepEqual([of(heard, "restartstalled"), of(heard, "connectionlost")], [[], []]);
      });
    });
  }
});
