// 4. A refresh of many connections: what it takes of the page's main thread, beside a plain loop over them.
import { BROWSERS } from "../../harness/browsers.mjs";
import { Coturn } from "../../harness/coturn.mjs";
import { figure, shown } from "../figure.mjs";
import { line } from "../line.mjs";
import { browserTitle } from "../report.mjs";

export const title = "A refresh of many connections";

const COUNTS = [1, 10, 50, 100];

const LIMIT = 1.1;

/** Refreshes of a kind in one round. Its figure is their median: what else the browser does now and then takes longer than one of them. */
const REFRESHES = 5;

/** Connections that are made at a time. */
const AT_ONCE = 10;

/** ms that a task may take where ten connections are served. */
const LONGEST = 5;

// Runs in the page.
async function refreshes({ count, atOnce, repeats }) {
  const { openTurnSession } = await import("/pkg/index.js");
  const { watched } = await import("/bench/page/main-thread.js");
  const { joined } = await import("/bench/page/pair.js");
  // Fetched before, so that no network is measured.
  const fresh = await (await fetch(`/credentials?${2 * repeats + 3}`)).json();
  const source = async () => ({ iceServers: fresh.pop(), ttl: 600 });
  const session = await openTurnSession({ source });
  const connections = Array.from({ length: count }, () => session.createPeerConnection());
  // Some at a time: of a hundred at once some never connect, in Firefox on a machine with two cores.
  const others = [];
  while (others.length < count) others.push(...(await Promise.all(connections.slice(others.length, others.length + atOnce).map(joined))));
  const ways = {
    ours: async () => {
      let left = count;
      const applied = new Promise((resolve) => {
        session.addEventListener("applied", function listener() {
          if (--left > 0) return;
          session.removeEventListener("applied", listener);
          resolve();
        });
      });
      await session.refresh();
      await applied;
    },
    theirs: async () => {
      const { iceServers } = await source();
      for (const pc of connections) pc.setConfiguration({ ...pc.getConfiguration(), iceServers });
    },
    nothing: async () => {},
  };
  const names = Object.keys(ways);
  const times = Object.fromEntries(names.map((way) => [way, []]));
  for (let time = 0; time <= repeats; time++) {
    // All orders in turn: what came before has warmed up the processor.
    const order = names.map((_, place) => names[(time + place) % names.length]);
    for (const way of time % 2 ? order.reverse() : order) {
      const measured = await watched(ways[way]);
      // The first one warms up.
      if (time > 0) times[way].push(measured);
    }
  }
  for (const pc of [...connections, ...others]) pc.close();
  await session.close();
  return times;
}

const counted = (count) => `${count} connection${count > 1 ? "s" : ""}`;

function linesOf({ ours, theirs }, { count, name }) {
  const what = `refresh of ${counted(count)}`;
  const [both, alone] = [(kind) => ({ ours: of(ours, kind), theirs: of(theirs, kind) }), { browser: name, beside: "a plain loop" }];
  return [
    line({ what: `${what}, main thread`, ...alone, ...both("busy"), goal: { ratioAtMost: LIMIT }, inReadme: count === 10 }),
    line({ what: `${what}, longest task`, ...alone, ...both("longest"), goal: count === 10 ? { atMost: LONGEST } : null }),
    line({ what: `${what}, until all are applied`, ...alone, ...both("ms") }),
  ];
}

/** The rounds' medians. */
const of = (measured, kind) => {
  const rounds = Array.from({ length: measured.length / REFRESHES }, (_, round) => measured.slice(round * REFRESHES, (round + 1) * REFRESHES));
  return figure(rounds.map((round) => figure(round.map((each) => each[kind]), "ms").median), "ms");
};

const rowOf = (times, { count, name }) => [
  `${counted(count)}, ${browserTitle(name)}`,
  ...["ours", "theirs", "nothing"].map((way) => shown(of(times[way], "busy"))),
];

export async function measure(bench) {
  const site = await bench.site();
  const coturn = await Coturn.start();
  site.json("/credentials", ({ request }) => {
    const count = Number(new URL(request.url, site.origin).search.slice(1));
    return Array.from({ length: count }, () => coturn.iceServers({ ttl: 600 }));
  });
  const lines = [];
  const rows = [];
  for (const name of BROWSERS) {
    bench.says(`refresh, ${name}`);
    const browser = await bench.browser(name);
    for (const count of COUNTS) {
      const page = await browser.page(site.page);
      const times = await page.evaluate(refreshes, { count, atOnce: AT_ONCE, repeats: REFRESHES * bench.rounds });
      lines.push(...linesOf(times, { count, name }));
      rows.push(rowOf(times, { count, name }));
      await page.close();
    }
    await browser.close();
  }
  await coturn.stop();
  await site.stop();
  return { lines, tables: [{ head: ["the main thread was busy", "turn-wasm", "a plain loop", "while nothing was done"], rows }] };
}
