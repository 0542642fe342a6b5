// 5. Survival: a relayed call whose credentials live for 20 s on a strict server, beside apps that do less.
import { fileURLToPath } from "node:url";
import { BROWSERS } from "../../harness/browsers.mjs";
import { DemoServer } from "../../harness/demo-server.mjs";
import { digits, figure, shown } from "../figure.mjs";
import { line } from "../line.mjs";
import { browserTitle } from "../report.mjs";

export const title = "A relayed call that outlives its credentials";

const TTL = 20;

/** Seconds of the call for each round: two lives of a credential. 15 rounds are 10 minutes. */
const ROUND = 40;

/** ms after a restart that still count as its own. */
const AFTERWARDS = 1000;

/** Samples of sound a millisecond. */
const RATE = 48;

const BROWSER = {
  flags: ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
  // One relay for each URL, as on a machine with one network.
  prefs: { "media.navigator.streams.fake": true, "media.peerconnection.ice.default_address_only": true },
};

const NAMES = { ours: "turn-wasm", updated: "`setConfiguration` at half of each life, no restart", idle: "nothing is done" };

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function calls(bench, name, seconds) {
  const server = await DemoServer.start({ ttl: TTL, args: ["--mount", `/bench=${fileURLToPath(new URL("..", import.meta.url))}`] });
  const browser = await bench.browser(name, name === "firefox" ? { prefs: BROWSER.prefs } : { flags: BROWSER.flags });
  const page = await browser.page(server.page);
  await page.evaluate(async () => {
    const { open } = await import("/bench/page/survival.js");
    globalThis.calls = await open();
  });
  await wait(seconds * 1000);
  const told = await page.evaluate(() => globalThis.calls.finish());
  await browser.close();
  await server.stop();
  return told;
}

/** The longest time between two arrivals of which one lies in the span, ms. */
function longestGap(arrivals, from, to) {
  let longest = 0;
  for (let index = 1; index < arrivals.length; index++) {
    const [before, after] = [arrivals[index - 1], arrivals[index]];
    if (after >= from && before <= to) longest = Math.max(longest, after - before);
  }
  return longest;
}

/** From when to when each restart lasted, whichever end began it; those that overlap are one. */
function restarts(heard) {
  const spans = [];
  for (const { at, type, detail } of heard) {
    if (type !== "restarted") continue;
    const [from, to] = [at - detail.duration, at + AFTERWARDS];
    const last = spans.at(-1);
    if (last && from <= last.to) Object.assign(last, { from: Math.min(from, last.from), to: Math.max(to, last.to) });
    else spans.push({ from, to });
  }
  return spans;
}

/** How much a counter of the media statistics grew in a span. */
function growth(media, counter, from, to) {
  const told = media.filter((said) => said[counter] !== null && said[counter] !== undefined);
  const first = told.findLast(({ at }) => at <= from) ?? told[0];
  const last = told.find(({ at }) => at >= to) ?? told.at(-1);
  return first ? last[counter] - first[counter] : null;
}

/** ms from the first arrival to the last one, at the end that heard the other one for longer. */
const lived = ({ arrivals }) => Math.max(...arrivals.map((at) => at.at(-1) - at[0]));

/** ms without a message, up to the end of the measurement. */
const silence = ({ arrivals }, ended) => Math.max(...arrivals.map((at) => Math.max(longestGap(at, 0, Infinity), ended - at.at(-1))));

function row(name, browser, call, ended) {
  const sent = call.ends.reduce((sum, end) => sum + end.sent, 0);
  const lost = call.ends.reduce((sum, end) => sum + end.sent - end.received, 0);
  const dead = ended - Math.max(...call.arrivals.map((at) => at.at(-1))) > 10_000;
  return [
    `${NAMES[name]}, ${browserTitle(browser)}`,
    dead ? `after ${digits(lived(call) / 1000)} s` : "no",
    `${lost.toLocaleString("en")} of ${sent.toLocaleString("en")}`,
    dead ? "–" : `${Math.round(silence(call, ended))} ms`,
    `${Math.max(...call.ends.map((end) => end.largestSendGap))} ms`,
    String(call.heard.filter(({ type }) => type === "restarted").length || "–"),
  ];
}

function linesOf(browser, { ours, updated, ended }, seconds) {
  const spans = restarts(ours.heard);
  const minutes = `in ${Number((seconds / 60).toFixed(1))} min`;
  const own = { browser };
  const gaps = spans.map(({ from, to }) => Math.max(...ours.arrivals.map((at) => longestGap(at, from, to))));
  const concealed = spans.map(({ from, to }) => growth(ours.media, "concealedSamples", from, to)).filter((samples) => samples !== null);
  const freezes = growth(ours.media, "freezeCount", 0, Infinity);
  return [
    line({
      what: `messages lost ${minutes}`,
      ...own,
      ours: figure(ours.ends.reduce((sum, end) => sum + end.sent - end.received, 0), "messages"),
      goal: { atMost: 0 },
      inReadme: true,
    }),
    line({
      what: `longest time without a message ${minutes}`,
      ...own,
      ours: figure(silence(ours, ended), "ms"),
      theirs: figure(silence(updated, ended), "ms"),
      beside: "`setConfiguration` only",
      goal: { atMost: 150 },
      inReadme: true,
    }),
    ...(gaps.length ? [line({ what: `gap between messages at each of ${gaps.length} restarts`, ...own, ours: figure(gaps, "ms") })] : []),
    ...(concealed.length
      ? [line({ what: "sound concealed at a restart (and a second after it)", ...own, ours: figure(concealed.map((samples) => samples / RATE), "ms") })]
      : []),
    ...(freezes === null ? [] : [line({ what: `video freezes ${minutes}`, ...own, ours: figure(freezes, "freezes"), goal: { atMost: 0 }, inReadme: true })]),
  ];
}

/** What the media were like with and without a restart. */
function mediaRow(browser, { ours: { heard, media, arrivals } }) {
  const spans = restarts(heard);
  const total = (counter) => growth(media, counter, 0, Infinity);
  const within = (counter) => spans.reduce((sum, { from, to }) => sum + growth(media, counter, from, to), 0);
  const share = (concealed, all) => (all > 0 ? `${((100 * concealed) / all).toFixed(2)} %` : "–");
  const [concealed, samples] = ["concealedSamples", "totalSamplesReceived"].map((counter) => [within(counter), total(counter)]);
  const worst = Math.max(0, ...spans.map(({ from, to }) => Math.max(...arrivals.map((at) => longestGap(at, from, to)))));
  const freezes = within("freezeCount");
  return [
    browserTitle(browser),
    share(concealed[0], samples[0]),
    share(concealed[1] - concealed[0], samples[1] - samples[0]),
    ...(total("freezeCount") === null
      ? ["not told", ""]
      : [String(freezes), `${total("freezeCount") - freezes} (all together ${digits(total("totalFreezesDuration") ?? 0)} s)`]),
    shown(figure(total("framesDecoded"), "frames")),
    `${Math.round(worst)} ms`,
  ];
}

export async function measure(bench) {
  const seconds = ROUND * bench.rounds;
  const lines = [];
  const rows = [];
  const media = [];
  for (const name of BROWSERS) {
    bench.says(`survival, ${name}: ${seconds} s`);
    const told = await calls(bench, name, seconds);
    lines.push(...linesOf(name, told, seconds));
    media.push(mediaRow(name, told));
    for (const call of Object.keys(NAMES)) rows.push(row(call, name, told[call], told.ended));
  }
  return {
    lines,
    tables: [
      { head: ["", "the call is dead", "messages lost", "longest time without one", "longest time between sends", "restarts, of both ends"], rows },
      { head: ["turn-wasm", "sound concealed in restarts", "and elsewhere", "video freezes in restarts", "and elsewhere", "video decoded", "worst gap between messages at a restart"], rows: media },
    ],
  };
}
