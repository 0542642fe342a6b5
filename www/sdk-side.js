// The call by turn-wasm, and what becomes of it. What an app would copy is in `open` below, in end.js and in negotiation.js.

import { CREDENTIALS, REVOCATION } from "./backend.js";
import { Call } from "./call.js";
import { isDirect } from "./pair.js";
import * as figures from "./figures.js";
import { Film } from "./film.js";
import { Ledger } from "./ledger.js";
import { tell } from "./story.js";
import { short, span } from "./words.js";

const SESSION = {
  active: "Live",
  refreshing: "Being refreshed",
  retrying: "Live, refresh is retried",
  refused: "Live, backend refuses a fresh one",
  expired: "Expired",
  closed: "Given back",
};

/** A session with what `settings` ask for. */
export function open(openTurnSession, { ttl, trickle, transports, iceRestart }) {
  return openTurnSession({
    source: ttl === null ? CREDENTIALS : { url: CREDENTIALS, body: { ttl } },
    revoke: REVOCATION,
    trickle,
    iceRestart,
    ...(transports && { urls: { transports } }),
  });
}

/**
 * Events: `change` when what is to be said about the call may have changed, `mark` with a kind of history.js as `detail`,
 * `refusal` with the status of an answer that brought no credential, 0 if none came.
 */
export class SdkSide extends EventTarget {
  ledger = new Ledger();
  film = new Film();
  startedAt = performance.now();
  session = null;
  call = null;
  /** The TURN username in force. */
  username = null;
  /** Fresh credentials so far. */
  refreshes = 0;
  /** No relay carries the call. */
  direct = false;

  #panel;
  #log;
  #stream = null;
  #settings = null;
  #ending = false;
  /** Messages of calls that could not be repaired. */
  #before = { sent: 0, received: 0, lost: 0, largestGap: 0 };

  constructor(panel, log) {
    super();
    this.#panel = panel;
    this.#log = log;
    panel.showCall("connecting");
    panel.showOutlived(0);
  }

  /** Opens the session and has the call connected. */
  async start(openTurnSession, stream, settings) {
    this.#stream = stream;
    this.#settings = settings;
    this.session = await open(openTurnSession, settings);
    this.#follow();
    // Not only by the clock, by whose next tick the call may be up.
    this.tick();
    this.#build();
    await this.call.connected();
  }

  #follow() {
    const { session } = this;
    this.#learn();
    this.#log.write("opened", `First credential: ${short(this.username)} lives for ${span(session.state.expiresAt - Date.now())}.`, "good");
    session.addEventListener("refreshed", () => {
      this.refreshes += 1;
      this.#mark("refresh");
      this.#learn();
      figures.showServers(session.state);
    });
    session.addEventListener("refresherror", ({ detail: { error } }) => this.dispatchEvent(new CustomEvent("refusal", { detail: error.status ?? 0 })));
    tell(session, this.#log, { nameOf: (pc) => this.call?.endOf(pc)?.name ?? null, usernameOf: () => this.username });
    session.addEventListener("restarted", ({ detail }) => {
      const end = this.call?.endOf(detail.connection);
      if (end) end.restarts += 1;
      // The other end of the same restart is told as well.
      if (detail.initiator === "local") this.#mark("restart");
    });
    session.addEventListener("connectionlost", ({ detail }) => {
      // Both ends may be lost; the first news of it rebuilds both.
      if (this.call.endOf(detail.connection)) this.#rebuild();
    });
    figures.showServers(session.state);
  }

  /** Notes what the session holds now. */
  #learn() {
    this.username = this.session.iceServers.find((server) => server.username)?.username ?? null;
    this.ledger.add(this.username, this.session.state.expiresAt);
    this.dispatchEvent(new Event("change"));
  }

  #mark(kind) {
    this.dispatchEvent(new CustomEvent("mark", { detail: kind }));
  }

  #build() {
    const { relayOnly, trickle } = this.#settings;
    const call = new Call(this.session, this.#stream, {
      onstream: (stream) => this.#panel.play(stream),
      relayOnly,
      gathered: trickle ? null : (pc) => this.session.localDescription(pc),
    });
    call.addEventListener("statechange", () => {
      if (call === this.call) this.#changed();
    });
    call.addEventListener("error", ({ detail }) => this.#log.write("error", `Negotiation failed: ${detail.message}`, "bad"));
    this.call = call;
  }

  /** As the call's, but "silent" while nothing comes through a path that the browser takes for good. */
  get state() {
    const { state } = this.call;
    return state === "connected" && this.call.isSilent ? "silent" : state;
  }

  #changed() {
    const { state } = this;
    if (this.#ending || state === this.#panel.element("status").dataset.state) return;
    this.#panel.showCall(state);
    if (state === "silent") this.#log.write("silent", "Nothing comes through at the moment, and the browser has not noticed yet.", "bad");
    if (state === "interrupted") this.#log.write("interrupted", "The path between the two ends is interrupted.", "bad");
    if (state === "lost") this.#log.write("lost", "The path between the two ends is lost.", "bad");
    this.dispatchEvent(new Event("change"));
  }

  /** The session holds a live credential, so a new call can take the place of one that is beyond repair at once. */
  #rebuild() {
    const lost = this.call;
    lost.close();
    this.#before = this.messages;
    this.#build();
  }

  get messages() {
    const { sent, received, lost, largestGap } = this.call.messages;
    const before = this.#before;
    return {
      sent: before.sent + sent,
      received: before.received + received,
      lost: before.lost + lost,
      largestGap: Math.max(before.largestGap, largestGap),
    };
  }

  /** Milliseconds for which nothing has come at one of the ends. */
  get silence() {
    return performance.now() - this.call.heardUntil;
  }

  /** What changes by the second. */
  tick() {
    const { session, call, ledger } = this;
    if (session === null) return;
    const { state } = session;
    const words = SESSION[state.status];
    if (state.expiresAt === null) this.#panel.text("session-status", words);
    else this.#panel.showCredential({ words, username: this.username, ...state });
    if (!call) return;
    this.#changed();
    const { silence } = this;
    this.#panel.showDuration(performance.now() - this.startedAt);
    this.#panel.showGathering(call.a.gathering);
    this.#panel.showMessages({ ...this.messages, silence });
    for (const { username, revoked } of ledger.hear(Date.now() - silence)) {
      this.#mark("expiry");
      const how = revoked ? "was revoked" : "has expired";
      this.#log.write("outlived", `Credential ${short(username)} ${how}, and the call goes on.`, "good");
    }
    this.#panel.showOutlived(ledger.outlived);
  }

  /** What has to be asked for. */
  async look() {
    const { call, film } = this;
    if (!call || call.state === "ended") return;
    const paths = await Promise.all(call.ends.map((end) => end.path()));
    call.ends.forEach((end, index) => figures.showEnd(end, paths[index]));
    this.direct = isDirect(paths);
    await film.look(call.b.pc);
    this.#panel.showVideo(film);
  }

  /** What is plotted of the last second. */
  sample() {
    if (!this.call) return {};
    return { ...this.call.sample(), bitrate: this.film.bitrate / 1_000 };
  }

  /** Hangs up in good order: nothing under way is lost, and the credentials are given back. */
  async end() {
    this.#ending = true;
    this.#panel.showCall("ending");
    await this.call.end();
    await this.session.close({ revoke: true });
    this.tick();
    this.#panel.clearCredential();
    this.#panel.showCall("ended");
  }

  /** After a start that failed. */
  async abandon() {
    this.call?.close();
    await this.session?.close({ revoke: true });
    this.#panel.showCall("idle");
  }
}

