// 2. Start: from the import to a session that can be opened, and what opening one costs beside a bare fetch.
import { BROWSERS } from "../../harness/browsers.mjs";
import { makeInline, makeOurs, makePlain } from "../bundle.mjs";
import { figure } from "../figure.mjs";
import { line } from "../line.mjs";

export const title = "Start";

const CACHED = { "cache-control": "public, max-age=31536000, immutable" };

/** How the package gets to the page. */
const WAYS = { ours: "as it is", bundled: "in an app's bundle", inline: "in an app's bundle of one file" };

/** Calls of a kind in one round. */
const CALLS = 10;

/** ms until a file of the package comes from a server that is not on the same machine. */
const FAR = 20;

/** A page that starts the module by itself, and what stands in its head. */
const starting = (hints) => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>turn-wasm starts</title>
<link rel="icon" href="data:,">
${hints}
<script type="module">
  globalThis.ready = import("/pkg/index.js").then(({ init }) => init()).then(() => performance.now());
</script>
</html>`;

/** As the README has them. */
const HINTS = `<link rel="modulepreload" href="/pkg/index.js">
<link rel="modulepreload" href="/pkg/dist/turn_wasm.js">
<link rel="preload" href="/pkg/dist/turn_wasm_bg.wasm" as="fetch" type="application/wasm" crossorigin>`;

const PAGES = { "/hinted": HINTS, "/plain": "" };

/** ms until the credential endpoint answers: at once, and after a short way through the internet. */
const DELAYS = [0, 20];

const SERVERS = [
  { urls: ["stun:127.0.0.1:3478", "stun:127.0.0.1:53"] },
  {
    urls: ["udp", "tcp"].flatMap((transport) => [3478, 80].map((port) => `turn:127.0.0.1:${port}?transport=${transport}`)),
    username: "f00dfacef00dfacef00dfacef00dface",
    credential: "secret",
  },
];

// ---- in the page ----------------------------------------------------------------------------------------------------

async function started(module) {
  const began = performance.now();
  const { init } = await import(module);
  await init?.();
  return performance.now() - began;
}

async function opened({ source, calls }) {
  const { openTurnSession } = await import("/pkg/index.js");
  const ways = {
    ours: async () => {
      const turn = await openTurnSession({ source });
      return { pc: turn.createPeerConnection(), end: () => turn.close() };
    },
    theirs: async () => {
      const response = await fetch(source, { method: "POST", cache: "no-store" });
      const { iceServers } = await response.json();
      return { pc: new RTCPeerConnection({ iceServers }), end: () => {} };
    },
  };
  const times = { ours: [], theirs: [] };
  for (let call = 0; call <= calls; call++) {
    // Each goes first as often as the other.
    for (const way of call % 2 ? ["ours", "theirs"] : ["theirs", "ours"]) {
      const began = performance.now();
      const { pc, end } = await ways[way]();
      const took = performance.now() - began;
      pc.close();
      await end();
      // The first one warms up.
      if (call > 0) times[way].push(took);
    }
  }
  return times;
}

// ---- the rounds -----------------------------------------------------------------------------------------------------

async function starts(bench, { page, name, sites, modules, rates }) {
  const times = new Map();
  for (let round = 0; round <= bench.rounds; round++) {
    for (const rate of rates) {
      if (rates.length > 1) await page.emulateCPUThrottling(rate);
      for (const [cache, site] of Object.entries(sites)) {
        for (const [whose, module] of Object.entries(modules)) {
          await page.goto(`${site.page}?${round}`);
          const took = await page.evaluate(started, module);
          // The first one fills the cache.
          if (round > 0) times.set(`${rate} ${cache} ${whose}`, [...(times.get(`${rate} ${cache} ${whose}`) ?? []), took]);
        }
      }
    }
  }
  if (rates.length > 1) await page.emulateCPUThrottling(1);
  return rates.flatMap((rate) =>
    Object.keys(sites).flatMap((cache) =>
      Object.entries(WAYS).map(([whose, way]) =>
        line({
          what: `import until ready, ${way}, ${cache}${rate > 1 ? `, CPU ${rate} × slower` : ""}`,
          browser: name,
          ours: figure(times.get(`${rate} ${cache} ${whose}`), "ms"),
          theirs: figure(times.get(`${rate} ${cache} theirs`), "ms"),
          goal: cache === "cold" && rate === 1 ? { atMost: 5 } : null,
          inReadme: cache === "cold" && rate === 1,
        }),
      ),
    ),
  );
}

/** From the navigation until the module is ready, with hints and without. */
async function hinted(bench, { page, name, site }) {
  const times = Object.fromEntries(Object.keys(PAGES).map((path) => [path, []]));
  for (let round = 0; round <= bench.rounds; round++) {
    for (const path of Object.keys(PAGES)) {
      await page.goto(site.url(path));
      const took = await page.evaluate(() => globalThis.ready);
      // The first one warms up.
      if (round > 0) times[path].push(took);
    }
  }
  return line({
    what: `navigation until ready, files ${FAR} ms away, with preload hints`,
    browser: name,
    ours: figure(times["/hinted"], "ms"),
    theirs: figure(times["/plain"], "ms"),
    beside: "without hints",
  });
}

const middle = (values) => figure(values, "ms").median;

async function calls(bench, { browser, name, site }) {
  const lines = [];
  for (const delay of DELAYS) {
    const rounds = { ours: [], theirs: [] };
    for (let round = 0; round < bench.rounds; round++) {
      // A page of its own: Chromium counts what was closed and not yet collected.
      const page = await browser.page(site.page);
      const times = await page.evaluate(opened, { source: `/turn-${delay}`, calls: CALLS });
      await page.close();
      for (const [whose, values] of Object.entries(times)) rounds[whose].push(middle(values));
    }
    lines.push(
      line({
        what: `open a session and make a connection, ${delay ? `the backend ${delay} ms away` : "the backend answers at once"}`,
        browser: name,
        ours: figure(rounds.ours, "ms"),
        theirs: figure(rounds.theirs, "ms"),
        beside: "bare fetch and constructor",
        goal: { ratioAtMost: 1.05 },
        inReadme: true,
      }),
    );
  }
  return lines;
}

export async function measure(bench) {
  const modules = { ours: "/pkg/index.js", bundled: await makeOurs(bench), inline: await makeInline(bench), theirs: await makePlain(bench) };
  const sites = { cold: await bench.site(), "from the HTTP cache": await bench.site({ headers: CACHED }) };
  const far = await bench.site({ delay: FAR });
  for (const [path, hints] of Object.entries(PAGES)) far.on(path, (_request, response) => response.writeHead(200, { "content-type": "text/html" }).end(starting(hints)));
  for (const delay of DELAYS) {
    sites.cold.json(`/turn-${delay}`, async () => {
      if (delay) await new Promise((resolve) => setTimeout(resolve, delay));
      return { iceServers: SERVERS, ttl: 600 };
    });
  }
  const lines = [];
  for (const name of BROWSERS) {
    bench.says(`start, ${name}`);
    const browser = await bench.browser(name);
    const page = await browser.page();
    // Only Chromium's protocol slows the CPU down.
    const rates = name === "chromium" ? [1, 4] : [1];
    lines.push(...(await starts(bench, { page, name, sites, modules, rates })));
    lines.push(await hinted(bench, { page, name, site: far }));
    await page.close();
    lines.push(...(await calls(bench, { browser, name, site: sites.cold })));
    await browser.close();
  }
  await Promise.all([far, ...Object.values(sites)].map((site) => site.stop()));
  return { lines, tables: [] };
}
