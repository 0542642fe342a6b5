// Measures how long one browser takes until its candidates are there. Run it in a network of its own with the browser's
// name and JSON: `rounds` by the name of a way in gathering-ways.mjs, and `atMost`, how many ms to wait for `complete`. Prints {version, load, packetsAtPort53, ways: {name: [{ms, relays}]}}, `ms` null if it was not complete by then.
import { loadavg } from "node:os";
import { openBrowser } from "./browsers.mjs";
import { CloudflareLike } from "./cloudflare-like.mjs";
import { CAPPED, WAYS } from "./gathering-ways.mjs";
import { Site } from "./site.mjs";

// Runs in the page. Where the first connection waits long, the others do so side by side.
async function gatherings({ iceServers, options, until, rounds, atMost }) {
  const { openTurnSession } = await import("/pkg/index.js");
  const session = await openTurnSession({ source: async () => ({ iceServers, ttl: 600 }), ...options });

  const complete = (pc) =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, atMost, false);
      pc.addEventListener("icegatheringstatechange", () => {
        if (pc.iceGatheringState !== "complete") return;
        clearTimeout(timer);
        resolve(true);
      });
    });

  const once = async () => {
    const pc = session.createPeerConnection();
    pc.createDataChannel("");
    const began = performance.now();
    const completed = until === "complete" && complete(pc);
    await pc.setLocalDescription();
    const there = until === "complete" ? await completed : await session.localDescription(pc, { timeout: 20_000 });
    const ms = performance.now() - began;
    const { sdp } = pc.localDescription;
    const relays = [];
    for (const { port, relayProtocol } of (await pc.getStats()).values()) {
      if (sdp.includes(` ${port} typ relay`)) relays.push(relayProtocol);
    }
    pc.close();
    return { ms: there ? ms : null, relays: [...new Set(relays)].sort() };
  };

  const results = [await once()];
  const long = results[0].ms === null || results[0].ms > 5000;
  if (long) results.push(...(await Promise.all(Array.from({ length: rounds - 1 }, once))));
  else while (results.length < rounds) results.push(await once());
  await session.close();
  return results;
}

const name = process.argv[2];
const { rounds, atMost } = JSON.parse(process.argv[3]);
const site = await Site.start();
const servers = await CloudflareLike.start();
const browser = await openBrowser(name, { loopback: false, flags: name === "chromium" ? ["--ignore-certificate-errors"] : [] });
const page = await browser.page(site.page);
const ways = {};
for (const { name: way, options, lost, until } of [...WAYS, ...CAPPED].filter((way) => rounds[way.name])) {
  const iceServers = servers.iceServers(name, { lost });
  ways[way] = await page.evaluate(gatherings, { iceServers, options, until, rounds: rounds[way], atMost });
}
const result = { version: await browser.version(), load: loadavg()[1], packetsAtPort53: servers.packetsAtPort53, ways };
await browser.close();
await servers.stop();
await site.stop();
console.log(JSON.stringify(result));
