// The call by hand, and what becomes of it. It has the same two ends, the same negotiation and the same video as the one by
// turn-wasm; only its credentials are kept otherwise.

import { Call } from "./call.js";
import { Film } from "./film.js";
import { Ledger } from "./ledger.js";
import { PlainServers } from "./plain.js";
import { isDirect } from "./pair.js";
import { gatheringComplete } from "./whole.js";
import { explain, short, span, time } from "./words.js";

/** Events: `change` when what is to be said about the call may have changed, `mark` with a kind of history.js as `detail`. */
export class PlainSide extends EventTarget {
  ledger = new Ledger();
  film = new Film();
  startedAt = performance.now();
  servers = null;
  call = null;
  state = "connecting";
  /** `performance.now()` when the call was lost; `null` while it is not. */
  lostAt = null;
  /** No relay carries the call. */
  direct = false;

  #panel;
  #log;
  #expired = false;
  /** When the first credential ends, ms since the epoch. */
  #firstEnd = null;

  constructor(panel, log) {
    super();
    this.#panel = panel;
    this.#log = log;
    panel.showCall("connecting");
    panel.showOutlived(0);
    panel.element("epitaph").hidden = true;
  }

  async start(stream, settings) {
    try {
      this.servers = await PlainServers.open(settings);
      this.#learn();
      // Not only by the clock, by whose next tick the call may be up.
      this.tick();
      this.servers.addEventListener("refetched", () => {
        this.#mark("refresh");
        this.#learn();
        this.#log.write("plain-refetched", `By hand: fresh credential ${short(this.servers.username)}, given to setConfiguration.`);
      });
      this.servers.addEventListener("refetcherror", ({ detail }) =>
        this.#log.write("plain-refetcherror", `By hand: no fresh credential, and no further try before the next half of its life. ${explain(detail)}`, "bad"));
      this.call = new Call(this.servers, stream, {
        onstream: (received) => this.#panel.play(received),
        relayOnly: settings.relayOnly,
        gathered: settings.trickle ? null : gatheringComplete,
      });
      this.call.addEventListener("statechange", () => this.#settle());
      await this.call.connected();
    } catch (error) {
      // Hung up meanwhile: nothing went wrong.
      if (this.state === "ended") return;
      this.close();
      this.#become("unavailable");
      this.#log.write("plain-error", `By hand: the call did not start. ${explain(error)}`, "bad");
    }
  }

  #mark(kind) {
    this.dispatchEvent(new CustomEvent("mark", { detail: kind }));
  }

  #learn() {
    const { username, expiresAt } = this.servers;
    this.ledger.add(username, expiresAt);
    this.#firstEnd ??= expiresAt;
    this.#expired = false;
  }

  get messages() {
    return this.call.messages;
  }

  get silence() {
    return performance.now() - this.call.heardUntil;
  }

  /** Its relays were made with the first credential, and nothing ever moves them to another. */
  get relayExpired() {
    return this.#firstEnd !== null && this.#firstEnd <= Date.now();
  }

  #become(state) {
    if (state === this.state) return;
    this.state = state;
    this.#panel.showCall(state, state === "interrupted" ? "Interrupted" : undefined);
    this.dispatchEvent(new Event("change"));
  }

  /** Finds out what the state is now. */
  #settle() {
    if (this.call === null || ["ended", "unavailable", "lost"].includes(this.state)) return;
    const { state } = this.call;
    const now = state === "connected" && this.call.isSilent ? "silent" : state;
    if (now === this.state) return;
    if (now === "silent") this.#log.write("plain-silent", "By hand: nothing comes through any more, though the browser still says “connected”.", "bad");
    if (now === "interrupted") this.#log.write("plain-interrupted", "By hand: the path is interrupted, and nothing repairs it.", "bad");
    if (now === "connected" && this.state === "connecting") this.#log.write("plain-connected", "By hand: the call is up at both ends.", "good");
    if (now === "lost") this.#lose();
    this.#become(now);
  }

  #lose() {
    this.lostAt = performance.now();
    const lasted = span(this.call.heardUntil - this.startedAt);
    const more = document.createElement("span");
    more.textContent = ` Nothing has come through since ${time(Date.now() - this.silence)}, ${lasted} after the start.`;
    const epitaph = this.#panel.element("epitaph");
    epitaph.replaceChildren("Lost.", more);
    epitaph.hidden = false;
    this.#log.write("plain-lost", `By hand: the call is lost. It had lasted for ${lasted}.`, "bad");
  }

  tick() {
    const { servers, call } = this;
    if (servers === null) return;
    if (["ended", "unavailable"].includes(this.state)) return;
    const { username, expiresAt, ttl } = servers;
    const over = expiresAt <= Date.now();
    if (over && !this.#expired) {
      this.#expired = true;
      this.#mark("expiry");
      this.#log.write("plain-expired", `By hand: credential ${short(username)} has expired.`, "bad");
      this.dispatchEvent(new Event("change"));
    }
    this.#panel.showCredential({
      words: over ? "Expired" : "Live", username, expiresAt, ttl, refreshAt: servers.refetches ? servers.refetchAt : null,
    });
    if (!servers.refetches) this.#panel.text("next-refresh", "never");
    if (!call) return;
    this.#settle();
    const { silence } = this;
    // A call that is lost has lasted until something came through for the last time.
    if (this.lostAt === null) this.#panel.showDuration(performance.now() - this.startedAt);
    else this.#panel.showDuration(call.heardUntil - this.startedAt);
    this.#panel.showGathering(call.a.gathering);
    this.#panel.showMessages({ ...this.messages, silence });
    this.ledger.hear(Date.now() - silence);
    this.#panel.showOutlived(this.ledger.outlived);
  }

  async look() {
    const { call, film } = this;
    if (!call || call.state === "ended") return;
    this.direct = isDirect(await Promise.all(call.ends.map((end) => end.path())));
    await film.look(call.b.pc);
    this.#panel.showVideo(film);
  }

  /** What is plotted of the last second. */
  sample() {
    if (!this.call || this.state === "unavailable") return {};
    return { ...this.call.sample(), bitrate: this.film.bitrate / 1_000 };
  }

  async end() {
    if (this.state === "unavailable") return;
    if (this.state !== "lost") this.#become("ending");
    await this.call?.end();
    this.tick();
    this.close();
    this.#panel.clearCredential();
    if (this.state !== "lost") this.#become("ended");
  }

  /** The credential that it holds was revoked. */
  revoked() {
    this.ledger.revoke(this.servers.username);
    this.#firstEnd = Math.min(this.#firstEnd, Date.now());
  }

  close() {
    this.servers?.close();
    this.call?.close();
  }

  /** After a start that failed on the other side. */
  abandon() {
    this.state = "ended";
    this.close();
    this.#panel.showCall("idle");
  }
}
