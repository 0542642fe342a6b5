// Many restarts of one connection. Firefox slows down at each one, until one ends the call.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { BROWSERS, openBrowser } from "../harness/browsers.mjs";
import { DemoServer } from "../harness/demo-server.mjs";

const OPTIONS = {
  firefox: { prefs: { "media.navigator.streams.fake": true } },
  chromium: { flags: ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"] },
};

/** What each component adds, ms. */
const EACH = 20;

/** What docs/guide.md says that a restart adds in Firefox, ms for each TURN URL and interface: at the end that makes the offers, and
 * at the other. `dataFirst`: the data channel was negotiated alone before the rest. */
const ADDED = [
  { media: false, configuration: {}, added: [20, 20] },
  { media: true, configuration: {}, added: [100, 20] },
  { media: true, configuration: { bundlePolicy: "max-bundle" }, added: [40, 20] },
  { media: true, configuration: { bundlePolicy: "max-bundle" }, dataFirst: true, added: [20, 20] },
];

/** By how much each value is above the one before: the median over all pairs, which one late value does not move. */
function growth(values) {
  const slopes = values.flatMap((from, at) => values.slice(at + 1).map((to, after) => (to - from) / (after + 1)));
  return slopes.sort((a, b) => a - b)[slopes.length >> 1];
}

/**
 * Restarts a call without this package, and tells how long each end waited for its first candidate each time, ms, and how many components
 * (RFC 8445 section 3) an offer's candidates have, over all transports.
 */
async function waits({ media, dataFirst, configuration, restarts }) {
  const { selectedPair, until } = await import("/harness/call.mjs");
  const { iceServers } = await (await fetch("/api/turn-credentials", { method: "POST" })).json();
  const ends = [0, 1].map(() => new RTCPeerConnection({ iceServers, iceTransportPolicy: "relay", ...configuration }));
  const [a, b] = ends;
  let began;
  const found = ends.map(() => new Map());
  ends.forEach((pc, index) => pc.addEventListener("icecandidate", ({ candidate }) => {
    if (!candidate?.candidate || b.signalingState === "closed") return;
    const { usernameFragment } = candidate;
    if (!found[index].has(usernameFragment)) found[index].set(usernameFragment, performance.now() - began);
    ends[1 - index].addIceCandidate(candidate);
  }));
  const pairOf = async (pc) => (await selectedPair(pc))?.pair.id;
  const negotiate = async () => {
    began = performance.now();
    await a.setLocalDescription();
    await b.setRemoteDescription(a.localDescription);
    await b.setLocalDescription();
    await a.setRemoteDescription(b.localDescription);
  };
  a.createDataChannel("");
  if (dataFirst) await negotiate();
  if (media) {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
    for (const track of stream.getTracks()) a.addTrack(track, stream);
  }
  for (let restart = 0; restart <= restarts; restart++) {
    // Of a generation that began with the data channel there is one already.
    const old = restart > 0 ? await Promise.all(ends.map(pairOf)) : [];
    if (restart > 0) a.restartIce();
    await negotiate();
    // Another restart before that would end the call, and relays that are still to come would be missing below.
    for (const [index, pc] of ends.entries()) {
      await until(async () => {
        const pair = await pairOf(pc);
        return pair && pair !== old[index] && pc.iceGatheringState === "complete";
      }, "the restart's pair and candidates");
    }
  }
  const relays = [...(await b.getStats()).values()].filter(({ type }) => type === "local-candidate").length;
  // Offered once more, without an answer, which would give up those that are not needed.
  b.close();
  let gathered = false;
  a.addEventListener("icecandidate", ({ candidate }) => (gathered ||= candidate === null));
  a.restartIce();
  await a.setLocalDescription();
  await until(() => gathered, "all candidates of an offer");
  const sections = a.localDescription.sdp.split(/^m=/m);
  const components = sections.map((section) => new Set(section.match(/^a=candidate:\S+ \d/gm)?.map((line) => line.at(-1))).size);
  const { rtcpMuxPolicy } = a.getConfiguration();
  a.close();
  return { times: found.map((of) => [...of.values()]), relays, components: components.reduce((sum, count) => sum + count), rtcpMuxPolicy };
}

/** Refreshes both ends' sessions again and again, until its connection is told lost or that many restarts are made. */
async function restart({ restarts }) {
  const { SdkCall } = await import("/harness/sdk-call.mjs");
  const { until } = await import("/harness/call.mjs");
  const sound = await navigator.mediaDevices.getUserMedia({ audio: true });
  const call = await SdkCall.open({ shared: false, options: { source: "/api/turn-credentials" }, call: { media: true, stream: sound } });
  const told = (name) => call.heard.filter(({ type }) => type === name);
  let made = 0;
  while (made < restarts && told("connectionlost").length === 0) {
    made++;
    // The end that goes first serves both.
    await Promise.all(call.sessions.map((session) => session.refresh()));
    await until(() => told("restarted").length >= 2 * made, `restart ${made}`, 20_000);
  }
  const received = call.call.report().map((end) => end.received);
  await until(() => call.call.report().every((end, index) => end.received > received[index] + 20), "messages go on");
  const { ends, heard } = await call.finish();
  return { made, ends, heard };
}

for (const name of BROWSERS) {
  describe(`many restarts of one connection in ${name}`, () => {
    let server;
    let browser;

    before(async () => {
      server = await DemoServer.start({ ttl: 600 });
      browser = await openBrowser(name, OPTIONS[name]);
    });
    after(async () => {
      await browser?.close();
      await server?.stop();
    });

    if (name === "firefox") {
      it("take longer each time, without this package, by as much as the guide says", async (t) => {
        const page = await browser.page(server.page);
        for (const { added, ...call } of ADDED) {
          const { times, relays, components, rtcpMuxPolicy } = await page.evaluate(waits, { ...call, restarts: 6 });
          // The first is no restart.
          const grown = times.map(([, ...of]) => growth(of) / relays);
          t.diagnostic(`${JSON.stringify(call)}: ${grown.map((ms) => ms.toFixed(1)).join(" and ")} ms more for each of ${relays} relays ${JSON.stringify(times.map((x) => x.map(Math.round)))}`);
          for (const [end, ms] of grown.entries()) assert.ok(Math.abs(ms / added[end] - 1) < 0.4, `${ms} is not about ${added[end]}`);
          // One of RTCP for each transport of sound or video among them.
          assert.deepEqual({ components, rtcpMuxPolicy }, { components: added[0] / EACH, rtcpMuxPolicy: "require" });
        }
        await page.close();
      });
    }

    it(name === "firefox" ? "are told as a loss before one ends the call" : "change nothing", async (t) => {
      const page = await browser.page(server.page);
      const { made, ends, heard } = await page.evaluate(restart, { restarts: name === "firefox" ? 40 : 12 });
      const durations = heard.filter(({ type }) => type === "restarted").map(({ detail }) => detail.duration);
      t.diagnostic(`${made} restarts, the last of ${durations.at(-1)} ms`);
      const lost = heard.filter(({ type }) => type === "connectionlost").map(({ session }) => session);
      if (name === "firefox") assert.ok(lost.length > 0, "told");
      else assert.deepEqual({ lost, made }, { lost: [], made: 12 });
      assert.deepEqual(ends.map((end) => end.lost), [0, 0]);
      for (const { iceConnectionState } of ends) assert.match(iceConnectionState, /^(connected|completed)$/);
      assert.deepEqual(page.troubles, []);
      await page.close();
    });
  });
}
