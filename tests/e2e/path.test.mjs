// A call that changes from a direct path to a relayed one without an event, after a refresh and onto relays of before it: they
// must be replaced before their credential ends. In Chromium; Firefox stays on the path that it chose.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { openBrowser } from "../harness/browsers.mjs";
import { DemoServer } from "../harness/demo-server.mjs";
import { Wire } from "../harness/wire.mjs";

/** Seconds that the first credentials live, and the later ones. */
const TTL = 20;
const LATER = 600;

/** Connects two ends over their relays, keeps their host candidates back, and returns where these are. */
async function connect({ ttl }) {
  const { openTurnSession } = await import("/pkg/index.js");
  const { End, Line, until } = await import("/harness/call.mjs");
  const { listen } = await import("/harness/sdk-call.mjs");
  const source = async ({ reason }) => {
    const body = JSON.stringify(reason === "initial" ? { ttl } : {});
    return (await fetch("/api/turn-credentials", { method: "POST", headers: { "content-type": "application/json" }, body })).json();
  };
  const sessions = await Promise.all([0, 1].map(() => openTurnSession({ source })));
  const connections = sessions.map((session) => session.createPeerConnection());
  const hosts = [null, null];
  const ends = Line.pair({ delay: 0 }).map((line, index) => {
    const signalling = {
      addEventListener: (...all) => line.addEventListener(...all),
      // Relays only: of the others one host candidate comes later, and none after a restart.
      send({ description, candidate }) {
        if (candidate?.type === "relay") line.send({ candidate });
        if (candidate?.type === "host" && candidate.protocol === "udp" && candidate.address.includes(".")) hosts[index] ??= candidate;
        if (description) line.send({ description: { ...description.toJSON(), sdp: description.sdp.replace(/^a=candidate:.*\r\n/gm, "") } });
      },
    };
    return new End(connections[index], signalling, { index });
  });
  for (const [index, end] of ends.entries()) end.incoming = ends[1 - index].tally;
  const heard = listen(sessions, connections);
  await Promise.all(ends.map((end) => end.start()));
  await until(() => hosts.every(Boolean), "a host candidate at each end");
  globalThis.call = { sessions, ends, hosts, heard };
  return hosts.map(({ address, port }) => ({ address, port }));
}

/** Tells each end of the other's host candidate, by these ports, waits until the call goes that way, and refreshes. */
async function goDirect({ ports }) {
  const { selectedPair, until } = await import("/harness/call.mjs");
  const { sessions, ends, hosts } = globalThis.call;
  globalThis.types = () => Promise.all(ends.map(async ({ pc }) => {
    const selected = await selectedPair(pc);
    return [selected?.local?.candidateType, selected?.remote?.candidateType];
  }));
  for (const [index, { pc }] of ends.entries()) {
    const { candidate, port, sdpMid, usernameFragment } = hosts[1 - index];
    await pc.addIceCandidate({ candidate: candidate.replace(` ${port} `, ` ${ports[1 - index]} `), sdpMid, usernameFragment });
  }
  await until(async () => !(await globalThis.types()).flat().some((type) => !type || type === "relay"), "a direct path");
  await Promise.all(sessions.map((session) => session.refresh()));
}

/** Waits until the path, just cut, is relayed; then until the credentials of before the refresh have ended `end` ms ago. */
async function outlive({ end }) {
  const { until } = await import("/harness/call.mjs");
  const { sessions, ends, heard } = globalThis.call;
  const cut = Date.now();
  // On the page's other clock, which the stalls are told by.
  const from = performance.now();
  const types = await until(async () => {
    const types = await globalThis.types();
    return types.some(([local]) => local === "relay") && types;
  }, "a relayed path", 15_000);
  const found = Date.now();
  await until(() => Date.now() > end, "the end of the old credentials", 60_000);
  for (const one of ends) one.stop();
  await until(() => ends.every(({ tally }) => tally.received >= tally.sent), "all messages arrived", 5_000).catch(() => {});
  const told = ends.map((one) => ({
    ...one.report(),
    lost: one.tally.lost,
    missing: one.tally.sent - one.tally.received,
    // The one that the cut made began before the other path was there.
    silences: one.tally.stalls.map(({ at, gap }) => ({ began: at - gap - from, gap })),
    disconnected: one.events.filter(({ what, value }) => what === "iceConnectionState" && value === "disconnected").length,
  }));
  for (const session of sessions) await session.close();
  for (const one of ends) one.close();
  return { cut, found, types, heard, told };
}

describe("a path that changes by itself in chromium", () => {
  let server, wire, browser;

  before(async () => {
    server = await DemoServer.start({ ttl: LATER });
    wire = await Wire.open();
    browser = await openBrowser("chromium");
  });
  after(async () => {
    await browser?.close();
    wire?.close();
    await server?.stop();
  });

  it("is not restarted while it is direct, and in time once it is relayed", async (t) => {
    const page = await browser.page(server.page);
    const opened = Date.now();
    const hosts = await page.evaluate(connect, { ttl: TTL });
    // The credentials that the relays are made with end before that.
    const ended = Date.now() + TTL * 1000;
    wire.join(hosts);
    await page.evaluate(goDirect, { ports: wire.ports });
    wire.cut();
    const { cut, found, types, heard, told } = await page.evaluate(outlive, { end: ended + 3_000 });
    const restarts = heard.filter(({ type, detail }) => type === "restarting" && detail.initiator === "local").map(({ at }) => at);
    t.diagnostic(`${wire.carried} packets went the direct way; the relays (${types.join(" and ")}) were selected ${found - cut} ms after its end, ` +
      `ICE restarted ${restarts.map((at) => at - cut)} ms after it, and their credentials ended after ${opened + TTL * 1000 - cut} ms at the earliest`);
    t.diagnostic(JSON.stringify(told));
    assert.ok(wire.carried > 0);
    assert.ok(restarts.length > 0 && restarts[0] >= cut && restarts[0] < opened + TTL * 1000 - 1_000, `${restarts}`);
    for (const { lost, missing, connectionState, silences, disconnected } of told) {
      assert.deepEqual({ lost, missing, connectionState, disconnected }, { lost: 0, missing: 0, connectionState: "connected", disconnected: 0 });
      // Chromium needs some seconds to leave the path that is cut. From then on nothing stands still.
      assert.deepEqual(silences.filter(({ began, gap }) => began > 1_000 && gap > 2_000), []);
    }
    assert.deepEqual(page.troubles, []);
    await page.close();
  });
});
