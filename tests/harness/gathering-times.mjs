// Measures how long one browser takes until its candidates are there, by the ways in WAYS: run it in a network of its own
// with the browser's name, the number of rounds, and how long to wait for `complete` at most, in ms. Prints
// {version, ways: [{way, times}]}, `times` in ms with null for one that was not complete in time.
import { openBrowser } from "./browsers.mjs";
import { CloudflareLike, PORT_53 } from "./cloudflare-like.mjs";
import { Site } from "./site.mjs";

const KEEP = { urls: { port53: "keep" } };

// What nobody answers at, the session's options, and what the app waits for.
const WAYS = {
  "port 53 kept, complete": [PORT_53, KEEP, "complete"],
  "port 53 kept, localDescription": [PORT_53, KEEP, "localDescription"],
  "trickle: false, complete": [PORT_53, { trickle: false }, "complete"],
  "trickle: false, localDescription": [PORT_53, { trickle: false }, "localDescription"],
  "no UDP, complete": [/stun:|udp/, { trickle: false }, "complete"],
  "no UDP, localDescription": [/stun:|udp/, { trickle: false }, "localDescription"],
  "port 443 silent, complete": [/:(53|443)(\?|$)/, { trickle: false }, "complete"],
  "port 443 silent, localDescription": [/:(53|443)(\?|$)/, { trickle: false }, "localDescription"],
};

// Runs in the page. Connections that only wait do so side by side.
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

  const results = [];
  if (until === "complete") results.push(...(await Promise.all(Array.from({ length: rounds }, once))));
  else while (results.length < rounds) results.push(await once());
  await session.close();
  return results;
}

const [name, rounds, atMost] = process.argv.slice(2);
const site = await Site.start();
const servers = await CloudflareLike.start();
const browser = await openBrowser(name, { loopback: false, flags: name === "chromium" ? ["--ignore-certificate-errors"] : [] });
const page = await browser.page(site.page);
const measured = {};
for (const [way, [silent, options, until]] of Object.entries(WAYS)) {
  const iceServers = servers.iceServers(name, { silent });
  measured[way] = await page.evaluate(gatherings, { iceServers, options, until, rounds: Number(rounds), atMost: Number(atMost) });
}
const version = await browser.version();
await browser.close();
await servers.stop();
await site.stop();
console.log(JSON.stringify({ version, ways: measured }));
