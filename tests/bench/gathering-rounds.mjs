// Measures how long one browser takes until an app without trickle ICE has its candidates, with Cloudflare's eight URLs of
// which port 53 is silent. Run it in a network of its own: `gathering-rounds.mjs BROWSER ROUNDS FOLDER`. Prints
// {version, ours, theirs}, the latter two in ms.
import { Bench } from "./bench.mjs";
import { CloudflareLike } from "../harness/cloudflare-like.mjs";

/** Plain connections that wait side by side: they do little else. */
const BATCH = 5;

/** ms after which an app would not wait any longer. */
const AT_MOST = 60_000;

// Runs in the page.
async function gatherings({ iceServers, batch, atMost }) {
  const { openTurnSession } = await import("/pkg/index.js");
  const timed = async (pc, described) => {
    pc.createDataChannel("");
    const began = performance.now();
    await pc.setLocalDescription();
    await described(pc);
    const ms = performance.now() - began;
    const relayed = pc.localDescription.sdp.includes(" typ relay");
    pc.close();
    if (!relayed) throw new Error("no relay candidate was found");
    return ms;
  };
  const complete = (pc) =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, atMost);
      pc.addEventListener("icegatheringstatechange", () => {
        if (pc.iceGatheringState !== "complete") return;
        clearTimeout(timer);
        resolve();
      });
    });
  const theirs = await Promise.all(Array.from({ length: batch }, () => timed(new RTCPeerConnection({ iceServers }), complete)));
  const session = await openTurnSession({ source: async () => ({ iceServers, ttl: 600 }), trickle: false });
  const ours = [];
  while (ours.length < batch) ours.push(await timed(session.createPeerConnection(), (pc) => session.localDescription(pc)));
  await session.close();
  return { ours, theirs };
}

const [name, rounds, out] = process.argv.slice(2);
const bench = await Bench.in(out, Number(rounds));
const site = await bench.site();
const servers = await CloudflareLike.start();
const browser = await bench.browser(name, { loopback: false, flags: name === "chromium" ? ["--ignore-certificate-errors"] : [] });
const page = await browser.page(site.page);
const times = { ours: [], theirs: [] };
while (times.ours.length < bench.rounds) {
  const batch = Math.min(BATCH, bench.rounds - times.ours.length);
  const measured = await page.evaluate(gatherings, { iceServers: servers.iceServers(name), batch, atMost: AT_MOST });
  for (const [whose, values] of Object.entries(measured)) times[whose].push(...values);
}
await browser.close();
await servers.stop();
await site.stop();
console.log(JSON.stringify({ version: bench.versions[name], ...times }));
