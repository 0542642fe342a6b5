// One call's side of the page: its state, its credential and its numbers. Text is set only when it changes, so that nothing
// flickers under a screen reader.

import { Ring } from "./ring.js";
import { short, span } from "./words.js";

const CALL = {
  idle: "Not started",
  connecting: "Connecting…",
  connected: "Connected",
  silent: "Nothing comes through",
  interrupted: "Interrupted, being repaired",
  lost: "Lost",
  unavailable: "Did not start",
  ending: "Hanging up…",
  ended: "Hung up",
};

export function show(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

export class Panel {
  #prefix;
  #ring;

  /** `prefix` stands before the ids of its elements. */
  constructor(prefix = "") {
    this.#prefix = prefix;
    this.#ring = new Ring(this.element("ring-left"), this.element("ring-refresh"));
  }

  element(id) {
    return document.getElementById(this.#prefix + id);
  }

  text(id, text) {
    show(this.element(id), text);
  }

  /** `words` where the state's usual ones do not fit. */
  showCall(state, words = CALL[state]) {
    this.element("status").dataset.state = state;
    this.text("status", words);
  }

  showOutlived(number) {
    this.element("outlived").dataset.count = String(number);
    this.text("outlived", String(number));
    this.text("outlived-noun", number === 1 ? "credential" : "credentials");
  }

  /** `expiresAt` and `refreshAt` in ms since the epoch, `refreshAt` `null` if no refresh is planned; `ttl` in seconds. */
  showCredential({ words, username, expiresAt, refreshAt, ttl }) {
    this.text("session-status", words);
    this.text("username", username ? short(username) : "");
    const now = Date.now();
    const left = expiresAt - now;
    this.element("time-left").dataset.seconds = String(Math.max(0, Math.ceil(left / 1000)));
    this.text("time-left", span(left));
    this.#ring.show(left / (ttl * 1000), refreshAt === null ? null : (expiresAt - refreshAt) / (ttl * 1000));
    this.text("next-refresh", refreshAt === null ? "none planned" : `in ${span(refreshAt - now)}`);
  }

  clearCredential() {
    this.text("next-refresh", "–");
    this.text("time-left", "–");
    this.element("time-left").dataset.seconds = "0";
    this.#ring.clear();
  }

  showDuration(ms) {
    this.text("duration", span(ms));
  }

  /** As end A has measured it, in ms: `relay` until its first relay, `sent` until a description without trickle ICE could leave. */
  showGathering({ relay, sent }) {
    if (sent !== null) this.text("gathering", `${Math.round(sent)} ms, then sent`);
    else this.text("gathering", relay === null ? "–" : `${Math.round(relay)} ms to a relay`);
  }

  /** `silence` in ms: how long nothing has come at one of the ends. */
  showMessages({ sent, received, lost, largestGap, silence }) {
    this.text("sent", sent.toLocaleString("en"));
    this.text("largest-gap", received === 0 ? "–" : `${Math.round(largestGap)} ms`);
    this.text("received-count", received.toLocaleString("en"));
    this.text("lost", lost.toLocaleString("en"));
    this.text("silence", received === 0 ? "–" : silence < 1_000 ? "just now" : `${span(silence)} ago`);
  }

  /** `frameRate` is 0 once no frame comes any more. */
  showVideo({ frames, frameRate, size }) {
    this.text("frames", frames.toLocaleString("en"));
    this.text("frame-rate", String(frameRate));
    if (size) this.text("frame-size", `${size.width} × ${size.height}`);
  }

  play(stream) {
    const video = this.element("received");
    video.srcObject = stream;
    // Refused only while the page is hidden; the element plays by itself afterwards.
    video.play().catch(() => {});
  }
}
