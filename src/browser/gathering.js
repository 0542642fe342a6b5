// The local description with its candidates in it, for apps without trickle ICE.
import { fail } from "./error.js";

// How often the state is looked at beside its event, in milliseconds: closing a connection fires none.
const LOOK = 50;
// How long no candidate may have come, in milliseconds: once each TURN transport has given a relay, and before that. A
// browser waits 11 s and more for a URL without an answer.
const SETTLED = 100;
const GIVEN_UP = 1000;

/**
 * Resolves once gathering is complete, or each TURN transport of the connection's servers has given a relay, or nothing has
 * come for a while after a relay (without TURN servers: after a server reflexive candidate), or after `timeout` ms.
 */
export async function localDescription(pc, timeout) {
  const until = performance.now() + timeout;
  let sdp;
  let changed;
  let stats = [];
  for (;;) {
    if (pc.signalingState === "closed") fail("closed", "the connection was closed before its candidates were gathered");
    const description = pc.localDescription;
    if (!description) fail("invalid-option", "pc: has no local description yet; call setLocalDescription() first");
    const now = performance.now();
    if (sdp !== description.sdp) changed = now;
    sdp = description.sdp;
    if (now >= until || gathered(pc, sdp, now - changed, stats)) return description;
    // Not waited for: a connection that is closed meanwhile may never give them.
    pc.getStats().then((report) => (stats = [...report.values()]), () => {});
    await new Promise((resolve) => {
      pc.addEventListener("icegatheringstatechange", resolve, { once: true });
      setTimeout(() => {
        pc.removeEventListener("icegatheringstatechange", resolve);
        resolve();
      }, Math.min(until - now, LOOK));
    });
  }
}

function gathered(pc, sdp, quiet, stats) {
  const complete = pc.iceGatheringState === "complete";
  // Without candidates it may be what Chromium still says of the time before a restart.
  if (complete && sdp.includes("a=candidate")) return true;
  const urls = pc.getConfiguration().iceServers.flatMap((server) => server.urls);
  const awaited = new Set(urls.filter((url) => /^turn/i.test(url)).map(transport));
  const answered = sdp.includes(awaited.size ? " typ relay" : " typ srflx");
  // A relay's priority tells TCP from TLS in Chromium alone, statistics tell it everywhere. A generation before has other ports.
  for (const { port, relayProtocol } of stats) {
    if (sdp.includes(` ${port} typ relay`)) awaited.delete(relayProtocol);
  }
  return (answered || complete) && quiet >= (answered && !awaited.size ? SETTLED : GIVEN_UP);
}

const transport = (url) => (/^turns/i.test(url) ? "tls" : /=tcp$/i.test(url) ? "tcp" : "udp");
