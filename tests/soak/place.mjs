// A page with a call in it, the backend that it asks, and the TURN server of that backend. The call goes on from fault to
// fault; when it is lost, another one is opened.
import { figures, timeline } from "../harness/fault-report.mjs";

/** ms that a call may take to find its feet after a fault: a life of a credential and the longest repair. */
const WITHIN = 75_000;

// ---- in the page ----------------------------------------------------------------------------------------------------

async function open(options) {
  const { FaultCall } = await import("/harness/fault-call.mjs");
  globalThis.call = await FaultCall.open({ options });
  const { sessions } = globalThis.call.sdk;
  /** Every credential that was served, which nothing may tell. */
  globalThis.secrets = new Set();
  const note = (session) => session.iceServers.forEach(({ credential }) => credential && globalThis.secrets.add(credential));
  for (const session of sessions) {
    note(session);
    session.addEventListener("refreshed", () => note(session));
  }
}

/** Waits for the call to go on, or to be replaced: what its problem is, whether it was lost, and where both sessions are. */
async function settle(options) {
  const { until } = await import("/harness/call.mjs");
  const { call, secrets } = globalThis;
  let problem = await call.settle(options);
  if (call.anew && !problem) {
    // It may have been lost before the fault, whose end its sessions have yet to notice.
    const isFresh = (end) => call.sdk.heard.some(({ at, session, type }) => type === "refreshed" && session === end && at > options.since);
    problem = await until(() => [0, 1].every(isFresh), "a fresh credential at both ends", options.within).then(() => null, String);
  }
  const states = call.sdk.sessions.map(({ state }) => state);
  const told = JSON.stringify([call.sdk.heard, states.map((state) => ({ ...state, lastError: state.lastError?.message }))]);
  return {
    problem,
    anew: call.anew,
    statuses: states.map(({ status }) => status),
    leaked: [...secrets].filter((secret) => told.includes(secret)).length,
    counts: call.sdk.call.ends.map(({ tally: { lost, repeated }, errors }) => ({ lost, repeated, errors })),
  };
}

const finish = () => globalThis.call.finish();

// ---- outside --------------------------------------------------------------------------------------------------------

/** What a session that has found its feet may be doing. */
const WELL = ["active", "refreshing"];

/** What the browsers print about what the faults do. */
const isExpected = (trouble) => trouble.startsWith("console:") || trouble.includes("WebRTC: ICE failed");

export class Place {
  /** Figures of the calls that are over. */
  ended = [];
  page = null;

  #random;
  #ttls;

  /** `name`: for the log. `server` or `coturn`: the TURN server. `random` picks for each call how many seconds of `ttls` its credentials live. */
  constructor({ name, browser, backend, server = null, coturn = null, random, ttls }) {
    Object.assign(this, { name, browser, backend, server, coturn });
    this.#random = random;
    this.#ttls = ttls;
  }

  get isStrict() {
    return this.server !== null;
  }

  async open() {
    const ttl = this.#random.pick(this.#ttls);
    this.page = await this.browser.page(this.backend.page);
    this.openedAt = Date.now();
    await this.page.evaluate(open, { source: { url: "/credentials", body: { ttl } } });
  }

  /** What is wrong after a fault that ended at `since`, an empty list if nothing is; and whether the call was lost. */
  async judge(since) {
    const { problem, anew, statuses, leaked, counts } = await this.page.evaluate(settle, { since, within: WITHIN });
    const wrong = [];
    if (problem) wrong.push(problem);
    if (anew?.problem) wrong.push(`the new connection did not connect: ${anew.problem}`);
    if (anew && !anew.told.filter(Boolean).every(({ servers }) => servers)) wrong.push("connectionlost was told while no live credential was held");
    if (statuses.some((status) => !WELL.includes(status))) wrong.push(`the sessions are ${statuses.join(" and ")}`);
    if (leaked > 0) wrong.push(`${leaked} credentials stand in events or states`);
    for (const [end, { lost, repeated, errors }] of counts.entries()) {
      if (lost || repeated) wrong.push(`messages of end ${end}: ${lost} lost, ${repeated} repeated`);
      if (errors.length > 0) wrong.push(`signalling errors at end ${end}: ${errors.join(", ")}`);
    }
    const uncaught = this.page.troubles.filter((trouble) => !isExpected(trouble));
    if (uncaught.length > 0) wrong.push(...uncaught);
    return { wrong, lost: anew !== null };
  }

  /** Ends the call. Returns what happened in it from `from` on. */
  async close(from = this.openedAt) {
    const result = await this.page.evaluate(finish);
    const { sent, lost, gap } = figures({ ...result, problem: null }, { from: this.openedAt });
    this.ended.push({ sent, lost: result.anew ? 0 : lost, gap: result.anew ? null : gap, replaced: result.anew !== null });
    await this.page.close();
    return timeline(result, from);
  }
}
