// A call with a session for each end that something goes wrong around. Runs in the page. Its app does what the README
// tells it: when a connection is lost it makes another one, at once.
import { Call, until } from "./call.mjs";
import { SdkCall } from "./sdk-call.mjs";

/** After this long an end that was not told learns from the other one's offer that the call is lost. */
const OFFER_MS = 3_000;
/** How long it may be until both ends have a credential for another connection. */
const BOTH_READY_MS = 30_000;

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const relayed = (session) => session.createPeerConnection({ iceTransportPolicy: "relay" });

export class FaultCall {
  /**
   * After `connectionlost`: `{told, problem, ms, silence}`. `told`: per end, `null` or when, and whether servers were at hand
   * then. `ms`: how long the new connection took; `silence`: since the last message over the old one.
   */
  anew = null;
  #ticks = 0;

  static async open({ options, steady = false }) {
    const self = new FaultCall();
    self.sdk = await SdkCall.open({ shared: false, options, call: { steady } });
    /** When each session's first credential ends, ms since the epoch. */
    self.expiries = self.sdk.sessions.map((session) => session.state.expiresAt);
    self.#replaceWhatIsLost();
    await until(() => self.sdk.call.ends.every(({ tally }) => tally.received >= 25), "messages flow");
    setInterval(() => self.#ticks++, 20);
    return self;
  }

  #replaceWhatIsLost() {
    const { sessions } = this.sdk;
    const replacements = [null, null];
    const told = [null, null];
    sessions.forEach((session, end) => {
      session.addEventListener("connectionlost", () => {
        if (told[end]) return;
        told[end] = { at: Date.now(), servers: session.iceServers.some(({ credential }) => credential) };
        replacements[end] = relayed(session);
        this.anew ??= this.#connect(replacements, told).catch((error) => ({ told, problem: String(error), ms: null, silence: null }));
      });
    });
  }

  async #connect(replacements, told) {
    const began = performance.now();
    const ready = (session, end) => {
      // An end whose credential has ended joins once it holds another one.
      if (performance.now() > began + OFFER_MS && session.state.status !== "expired") replacements[end] ??= relayed(session);
      return replacements[end];
    };
    await until(() => this.sdk.sessions.map(ready).every(Boolean), "a credential at both ends", BOTH_READY_MS);
    const from = performance.now();
    const again = new Call(replacements);
    const problem = await again.start().then(() => null, String);
    const ms = Math.round(performance.now() - from);
    const silence = Math.max(...this.sdk.call.ends.map(({ tally }) => tally.report.silence));
    again.close();
    return { told, problem, ms, silence };
  }

  /** How often a timer of 20 ms has fired. */
  get ticks() {
    return this.#ticks;
  }

  /** Messages flow in both directions, and all but those on their way have arrived. */
  flows() {
    return this.sdk.call.ends.every(
      ({ channel, tally }) => channel.readyState === "open" && tally.sent - tally.received < 50 && tally.report.silence < 500,
    );
  }

  /** Both ends have moved over to a credential that came after `since`. */
  #movedOn(since) {
    const { heard } = this.sdk;
    return [0, 1].every((end) => {
      const fresh = heard.find(({ at, session, type }) => type === "refreshed" && session === end && at > since);
      return fresh && heard.some(({ at, type, detail }) => type === "restarted" && detail.connection === end && at >= fresh.at);
    });
  }

  /** Waits until the call has found its feet after a fault that ended at `since`: its problem, or `null`. */
  async settle({ since, within }) {
    const lost = () => this.anew !== null;
    const problem = await until(
      () => lost() || (this.flows() && this.#movedOn(since)),
      "the call goes on, and both ends have moved over to a fresh credential",
      within,
    ).then(() => null, String);
    this.anew = await this.anew;
    if (problem || this.anew) return problem;
    await wait(1000);
    return this.flows() ? null : "the call went on, and fell silent again";
  }

  /** Ends it, and says how it went. */
  async finish() {
    const endedAt = Date.now();
    return { ...(await this.sdk.finish()), expiries: this.expiries, endedAt, timeOrigin: performance.timeOrigin, anew: this.anew };
  }
}
