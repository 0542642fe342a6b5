// What a fault did to a call: its figures, and the page that shows them.

/** What FaultCall.finish gives, from what both ends of a call between two pages say. */
export function joined(reports, { problem, endedAt }) {
  const replaced = reports.filter(({ next }) => next);
  return {
    problem,
    endedAt,
    ends: reports.map(({ sends, connectionState, errors, raises }, end) => ({ ...sends, ...reports[1 - end].arrivals, connectionState, errors, raises })),
    heard: reports.flatMap(({ heard }, end) => heard.map((event) => ({ ...event, session: end }))).sort((a, b) => a.at - b.at),
    events: reports.flatMap(({ events, timeOrigin }) => events.map((event) => ({ ...event, at: event.at + timeOrigin }))),
    pairs: reports.flatMap(({ pairs }) => pairs),
    media: reports.map(({ media }) => media),
    timeOrigin: 0,
    expiries: reports.map(({ expiresAt }) => expiresAt),
    anew: replaced.length === 0 ? null : {
      told: reports.map(({ told }) => told),
      problem: replaced.length === 2 && replaced.every(({ next }) => next.ms) ? null : "not heard at both ends",
      // Since the second of the two was made.
      ms: Math.min(...replaced.map(({ next }) => next.ms)),
      silence: Math.max(...replaced.map(({ next }) => next.silence)),
    },
  };
}

/** Milliseconds that a session was without a live credential, from `awakeAt` on if it slept until then. */
function lapse({ heard, expiries, endedAt }, session, awakeAt) {
  let total = 0;
  let expiresAt = expiries[session];
  const count = (until) => (total += Math.max(0, until - Math.max(expiresAt, awakeAt)));
  for (const { at, session: whose, type, detail } of heard) {
    if (type !== "refreshed" || whose !== session) continue;
    count(at);
    expiresAt = detail.expiresAt;
  }
  count(endedAt);
  return total;
}

const TOLD = ["refresherror", "expired", "refreshed", "restarting", "restarted", "restartstalled", "connectionlost", "applyerror", "warning"];

function said({ type, detail }) {
  if (type === "refresherror") return `${type} (${detail.error.status ?? detail.error.code})`;
  if (type === "refreshed") return `${type} (${detail.reason})`;
  if (type === "restarting") return detail.initiator === "local" ? `${type} (${detail.reason})` : null;
  return type;
}

/** What the sessions said from `from` on, each kind once, in order. */
function summary({ heard }, from) {
  const kinds = new Map();
  for (const event of heard) {
    const kind = event.at >= from && TOLD.includes(event.type) && said(event);
    if (kind) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  return [...kinds].map(([kind, times]) => (times > 1 ? `${times} × ${kind}` : kind)).join(", ");
}

/** The figures of one call. `from`: when the fault began; `awakeAt`: when each end's sleep ended, ms since the epoch. */
export function figures(result, { from, awakeAt = [0, 0] }) {
  const lost = result.anew !== null;
  const goesOn = !lost && result.problem === null && result.ends.every((end) => end.connectionState === "connected");
  const silence = goesOn ? 0 : (result.anew?.silence ?? Math.max(...result.ends.map((end) => end.silence)));
  return {
    sent: result.ends.reduce((sum, end) => sum + end.sent, 0),
    lost: result.ends.reduce((sum, end) => sum + end.sent - end.received, 0),
    gap: Math.max(...result.ends.map((end) => end.largestGap), silence),
    without: Math.max(...[0, 1].map((session) => lapse(result, session, awakeAt[session]))),
    said: summary(result, from),
    outcome: lost
      ? `told \`connectionlost\`, a new connection ${result.anew?.problem ? "did not connect" : `after ${result.anew?.ms} ms`}`
      : goesOn
        ? "goes on"
        : "broken off",
  };
}

function details(detail, from) {
  const shown = ([name, value]) => {
    if (name === "error") return `${value.code} ${value.status ?? ""}`.trim();
    return `${name} ${/At$/.test(name) && value ? `${Math.round(value - from)} ms` : value}`;
  };
  return Object.entries(detail ?? {}).map(shown).join(", ");
}

/** The whole story, for a test that failed: ms from the beginning of the fault. */
export function timeline({ heard, events, timeOrigin }, from) {
  const lines = [
    ...heard.map(({ at, session, type, detail }) => ({ at, text: `session ${session}: ${type} ${details(detail, from)}` })),
    ...events
      .filter(({ what }) => what !== "icecandidateerror" && what !== "track")
      .map(({ at, end, what, ...more }) => ({ at: at + timeOrigin, text: `end ${end}: ${what} ${Object.values(more).join(" ")}` })),
    ...events
      .filter(({ what }) => what === "icecandidateerror")
      .map(({ at, end, errorCode }) => ({ at: at + timeOrigin, text: `end ${end}: icecandidateerror ${errorCode}` })),
  ];
  return lines.sort((a, b) => a.at - b.at).map(({ at, text }) => `${Math.round(at - from)} ms ${text}`);
}

const seconds = (ms) => (ms === 0 ? "0" : `${(ms / 1000).toFixed(1)} s`);

/** One line of the table, as diagnostics show it. */
export function line(name, what, { sent, lost, gap, without, said, outcome }) {
  return `${name}, ${what}: ${outcome}; ${lost} of ${sent} lost, largest gap ${gap} ms, ${seconds(without)} without a live credential; ${said}`;
}

/** "Chromium 156" of "chromium" and "Chrome/156.0.8078.108". */
function title(name, version) {
  return `${name[0].toUpperCase()}${name.slice(1)} ${/\d+/.exec(version)}`;
}

/** The page docs/faults.md. `browsers`: `[{name, version, rows: [{what, row}]}]`. */
export function page({ browsers, faults, command }) {
  const table = browsers.map(
    ({ name, version, rows }) => `## ${title(name, version)}

| fault | the call | messages lost | largest gap | without a live credential | what the package said |
|---|---|---|---|---|---|
${rows.map(({ what, row }) => `| ${what} | ${row.outcome} | ${row.lost} of ${row.sent} | ${row.gap < 1000 ? `${row.gap} ms` : seconds(row.gap)} | ${seconds(row.without)} | ${row.said} |`).join("\n")}
`,
  );
  return `# What a call goes through

A relayed call in each browser with a session for each end, a message every 20 ms each way on a reliable data channel, and credentials
that live for some seconds, so that each fault meets a refresh. The TURN server deletes the allocations of an expired credential within a
second, as Cloudflare documents; "TURN server restarted" runs against coturn. Written by

\`\`\`sh
${command}
\`\`\`

which runs [\`tests/e2e/faults.test.mjs\`](../tests/e2e/faults.test.mjs); without the variable the same run prints these lines and leaves
this page alone. A message counts as lost if it was handed to the data channel and never arrived. The time without a live credential is that of the end
that had to do without for longer; while the browser is stopped it is not counted, but the gap holds those 30 s. Where a new connection was made, the gap
lasts until it was there, and what was handed to the old one while no path was left is lost with it.

| fault | what is done |
|---|---|
${faults.map(({ what, how }) => `| ${what} | ${how} |`).join("\n")}

${table.join("\n")}`;
}
