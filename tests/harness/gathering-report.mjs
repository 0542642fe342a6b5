// What was measured about gathering, as the page docs/gathering.md.
import { CAPPED, WAYS } from "./gathering-ways.mjs";

export function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[(sorted.length - 1) >> 1];
}

const TITLE = { chromium: "Chromium", firefox: "Firefox" };

const UNTIL = { complete: "`iceGatheringState` to be `complete`", localDescription: "`localDescription()`" };

const seconds = (ms) => (ms < 995 ? `${(ms / 1000).toFixed(2)} s` : `${(ms / 1000).toFixed(1)} s`);

const millis = (ms) => `${Math.round(ms)} ms`;

export function page({ measured, rounds, atMost, command, cores }) {
  const browsers = ["chromium", "firefox"];
  const middle = (browser, way) => median(measured[browser].ways[way].map(({ ms }) => ms ?? Infinity));
  const told = (browser, way, shown = seconds) => {
    const ms = middle(browser, way);
    const relays = measured[browser].ways[way][0].relays.join(", ");
    return `${ms === Infinity ? `over ${atMost / 1000} s` : shown(ms)} (${relays})`;
  };
  const name = (what, until) => WAYS.find((way) => way.what === what && way.until === until).name;
  const versions = browsers.map((browser) => `${TITLE[browser]} ${/\d+/.exec(measured[browser].version)[0]}`);
  const [kept, dropped] = WAYS.map(({ what }) => what).filter((what, index, all) => all.indexOf(what) === index);
  const ratio = (browser, { what, until }) =>
    Math.round(middle(browser, name(kept, "complete")) / middle(browser, name(what, until)));
  const loads = browsers.map((browser) => measured[browser].load.toFixed(1));

  return `# How long gathering takes

An app that uses trickle ICE need not care: it sends each candidate when it comes. An app that sends one description with all candidates in
it waits, and browsers wait for every URL. One that nobody answers holds them up for many seconds.

Medians of ${rounds}, with the eight URLs that Cloudflare hands out (STUN on UDP 3478 and 53, TURN on UDP 3478 and 53, TCP 3478 and 80, TLS
5349 and 443), answered by coturn on the same machine except on port 53; what is blocked gets lost without a word, as behind a firewall. In
brackets the transports over which there is a relay by then. ${versions.join(" and ")}, ${cores} cores, load average ${loads.join(" and ")}. Written by

\`\`\`sh
${command}
\`\`\`

which runs [\`tests/e2e/gathering.test.mjs\`](../tests/e2e/gathering.test.mjs) in a network namespace of its own, on Linux and where one may be
made; without the variable the same run measures less, checks it and leaves this page alone.

| | the app waits for | Chromium | Firefox |
|---|---|---|---|
${WAYS.map((way) => `| ${way.what} | ${UNTIL[way.until]} | ${browsers.map((browser) => told(browser, way.name)).join(" | ")} |`).join("\n")}

With \`trickle: false\` and \`localDescription()\` the description is there ${ratio("chromium", { what: dropped, until: "localDescription" })} times as fast in Chromium and ${ratio("firefox", { what: dropped, until: "localDescription" })} times in
Firefox as without both; with \`localDescription()\` alone ${ratio("chromium", { what: kept, until: "localDescription" })} and ${ratio("firefox", { what: kept, until: "localDescription" })} times.

## Port 53

Cloudflare's list has alternates on port 53 for networks that let nothing but DNS through.

- **Chromium sends nothing there.** ${measured.chromium.packetsAtPort53} packets came to port 53 in this run, and yet it waits for an answer. The alternates are of no use to it.
- **Firefox does send there** (${measured.firefox.packetsAtPort53} packets came), and waits as in the first line where nobody answers.

So with trickle ICE they do no harm and are kept; with \`trickle: false\` they are left out (\`urls: { port53: "keep" }\` keeps them), and
\`state.dropped\` names them.

## How many URLs

| URLs (\`trickle: false, urls: { max }\`), all of which answer | Chromium | Firefox |
|---|---|---|
${CAPPED.map(({ max, name }) => `| ${max} | ${browsers.map((browser) => told(browser, name, millis)).join(" | ")} |`).join("\n")}

There is no cap unless you set one: more URLs cost little where they answer, and each may be the one that a firewall lets through. Firefox says on
its console from the fifth URL on that it becomes slower. A cap keeps one TURN URL of each transport (in the order of \`transports\`, without it
UDP, TCP, TLS) and one STUN URL before it fills up in the response's order, so 4 URLs lose nothing but alternates.

## What localDescription() waits for

It is done at the first of these:

- gathering is complete;
- each TURN transport (UDP, TCP, TLS) among the connection's servers has given a relay, and for 100 ms no other candidate came;
- there is a relay, and for 1000 ms no other candidate came: what has not answered by then is given up;
- the timeout (5000 ms unless you say otherwise).

So one dead URL costs nothing while another one of its transport answers, and a transport without any answer costs a second. The second leaves
room for slow paths: a relay over TCP takes one round trip more than one over UDP, one over TLS one or two more than that. Where a transport is
given up, the description holds what was there; candidates that come later are events of the connection as ever.
`;
}
