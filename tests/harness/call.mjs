// A call between two connections on one page, and what happened to it; or one end of a call whose other end is elsewhere.
// Runs in the page.
//
// Signalling is what the README tells an app to do; end 1 is the polite one. Over a reliable, ordered data channel each end
// sends a numbered message every 20 ms; the other counts what is lost, what is repeated, and the time between arrivals.

import { negotiate } from "/www/negotiation.js";

/** How often each end sends a message, in ms. */
const INTERVAL = 20;

export const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Calls `act` every `ms`; returns a function that ends it. `steady`: by a worker's clock, which runs on while the page is hidden. */
function every(ms, act, steady) {
  if (!steady) {
    const timer = setInterval(act, ms);
    return () => clearInterval(timer);
  }
  const program = URL.createObjectURL(new Blob([`setInterval(() => postMessage(0), ${ms})`], { type: "text/javascript" }));
  const worker = new Worker(program);
  worker.addEventListener("message", act);
  return () => worker.terminate();
}

/** Resolves as soon as `condition()` is truthy, with its value; rejects after `within` ms, naming `what`. */
export async function until(condition, what, within = 10_000) {
  const deadline = performance.now() + within;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > deadline) throw new Error(`not within ${within} ms: ${what}`);
    await wait(20);
  }
}

/** One direction's messages as the receiver sees them. */
export class Tally {
  sent = 0;
  received = 0;
  lost = 0;
  repeated = 0;
  largestGap = 0;
  largestSendGap = 0;
  lastArrival = null;
  lastSend = null;
  /** Arrivals that came more than 200 ms after the one before: `{at, gap}`, ms. */
  stalls = [];
  #next = 0;

  noteSend() {
    const now = performance.now();
    if (this.lastSend !== null) this.largestSendGap = Math.max(this.largestSendGap, now - this.lastSend);
    this.lastSend = now;
    return this.sent++;
  }

  noteArrival(number) {
    const now = performance.now();
    if (this.lastArrival !== null) {
      const gap = now - this.lastArrival;
      this.largestGap = Math.max(this.largestGap, gap);
      if (gap > 200) this.stalls.push({ at: Math.round(now), gap: Math.round(gap) });
    }
    this.lastArrival = now;
    this.received++;
    if (number < this.#next) this.repeated++;
    else {
      this.lost += number - this.#next;
      this.#next = number + 1;
    }
  }

  /** The silence from here on counts as no gap. */
  rest() {
    this.lastArrival = null;
    this.lastSend = null;
  }

  /** What the sender knows. */
  get sends() {
    return { sent: this.sent, largestSendGap: Math.round(this.largestSendGap) };
  }

  /** What the receiver knows. */
  get arrivals() {
    const silence = this.lastArrival === null ? null : performance.now() - this.lastArrival;
    return {
      received: this.received,
      lost: this.lost,
      repeated: this.repeated,
      largestGap: Math.round(this.largestGap),
      silence: silence === null ? null : Math.round(silence),
      stalls: this.stalls,
    };
  }

  get report() {
    return { ...this.sends, ...this.arrivals };
  }
}

/** A way for messages from one end to the other on this page. */
export class Line extends EventTarget {
  #deliver;

  /** Both ends of it. */
  static pair(options) {
    const lines = [new Line(), new Line()];
    lines.forEach((line, index) => {
      line.#deliver = (act) => later(() => act(lines[1 - index]), options);
    });
    return lines;
  }

  send(message) {
    const copy = JSON.parse(JSON.stringify(message));
    this.#deliver((other) => other.dispatchEvent(new CustomEvent("message", { detail: copy })));
  }
}

/** Calls `act` after `delay` ms. `steady`: at once, and not by a timer, which a hidden page holds back. */
function later(act, { delay, steady }) {
  if (!steady) {
    setTimeout(act, delay);
    return;
  }
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    act();
  };
  port2.postMessage(null);
}

/** One end of a call. `signalling` leads to the other: `send(message)`, and a `message` event for each that arrives, in order. */
export class End {
  /** What happened, in order: `{at, end, what, …}`, `at` in ms since the page began. */
  events;
  /** This end's messages on their way to the other. On the page of one end alone, nothing is known of their arrivals. */
  tally = new Tally();
  /** The other end's messages, likewise. */
  incoming = new Tally();
  channel = null;
  errors = [];
  #signalling;
  #quiet = () => {};
  #painting = null;

  /** `index` 0 is the impolite end, which makes the data channel. */
  constructor(pc, signalling, { index, events = [] }) {
    this.pc = pc;
    this.index = index;
    this.events = events;
    this.#signalling = signalling;
    this.#wire();
    if (index === 0) this.#open(pc.createDataChannel("numbers", { ordered: true }));
    else pc.addEventListener("datachannel", ({ channel }) => this.#open(channel));
  }

  note(what, more = {}) {
    this.events.push({ at: Math.round(performance.now() * 10) / 10, end: this.index, what, ...more });
  }

  #fail(error) {
    this.errors.push(String(error));
    this.note("error", { message: String(error) });
  }

  #wire() {
    const { pc } = this;
    negotiate(pc, this.#signalling, { polite: this.index === 1, onerror: (error) => this.#fail(error) });
    this.#signalling.addEventListener("error", ({ detail }) => this.#fail(detail));
    pc.addEventListener("negotiationneeded", () => this.note("negotiationneeded"));
    pc.addEventListener("icecandidateerror", (event) => {
      const { errorCode, errorText, url, address, port } = event;
      this.note("icecandidateerror", { errorCode, errorText, url, address, port });
    });
    for (const state of ["connectionState", "iceConnectionState", "iceGatheringState", "signalingState"]) {
      pc.addEventListener(state.toLowerCase() + "change", () => this.note(state, { value: pc[state] }));
    }
    pc.addEventListener("track", ({ track, streams }) => {
      this.note("track", { kind: track.kind });
      const video = document.createElement("video");
      video.muted = true;
      video.srcObject = streams[0] ?? new MediaStream([track]);
      document.body.append(video);
      video.play().catch(() => {});
    });
  }

  #open(channel) {
    this.channel = channel;
    channel.addEventListener("message", ({ data }) => this.incoming.noteArrival(Number(data)));
    for (const what of ["open", "closing", "close"]) channel.addEventListener(what, () => this.note(`channel ${what}`));
    channel.addEventListener("error", ({ error }) => this.note("channel error", { message: String(error) }));
  }

  /** A canvas as a video track. */
  addVideo() {
    const canvas = document.createElement("canvas");
    canvas.width = 320;
    canvas.height = 240;
    const context = canvas.getContext("2d");
    let frame = 0;
    this.#painting = setInterval(() => {
      context.fillStyle = `hsl(${frame % 360} 80% 50%)`;
      context.fillRect(0, 0, 320, 240);
      context.fillStyle = "white";
      context.fillText(String(frame++), 20, 20);
    }, 40);
    const stream = canvas.captureStream(25);
    this.pc.addTrack(stream.getTracks()[0], stream);
  }

  get isConnected() {
    return this.pc.connectionState === "connected" && this.channel?.readyState === "open";
  }

  sendNext() {
    if (this.channel.readyState === "open") this.channel.send(String(this.tally.noteSend()));
  }

  /** Resolves once this end is connected, then starts its messages. */
  async start({ within = 20_000, interval = INTERVAL } = {}) {
    await until(() => this.isConnected, "connected, and the channel open", within);
    this.#quiet = every(interval, () => this.sendNext());
  }

  /** Stops this end's messages. */
  stop() {
    this.#quiet();
  }

  /** Waits until a restart in progress has connected: until then Firefox calls the connection "connecting". */
  async outOfRestart({ within }) {
    await until(() => this.pc.connectionState !== "connecting", "no restart in progress", within).catch(() => {});
  }

  close() {
    this.#quiet();
    clearInterval(this.#painting);
    this.pc.close();
    this.#signalling.close?.();
  }

  /** Where the connection stands. */
  report() {
    const { pc, channel, errors } = this;
    return {
      connectionState: pc.connectionState,
      iceConnectionState: pc.iceConnectionState,
      channel: channel?.readyState ?? null,
      errors,
    };
  }
}

export class Call {
  /** What happened at both ends. */
  events = [];
  ends;
  #quiet = () => {};
  #interval;
  #steady;

  /**
   * `connections`: two RTCPeerConnections, the impolite end first. `delay`: ms that a signalling message takes.
   * `media`: a canvas video track from end 0 to end 1; `stream`: what else it sends. `steady`: neither messages nor signalling
   * wait for the timers of a hidden page, as those of a socket would not.
   */
  constructor(connections, { delay = 0, interval = INTERVAL, media = false, stream = null, steady = false } = {}) {
    this.#interval = interval;
    this.#steady = steady;
    const lines = Line.pair({ delay, steady });
    this.ends = connections.map((pc, index) => new End(pc, lines[index], { index, events: this.events }));
    const [a, b] = this.ends;
    a.incoming = b.tally;
    b.incoming = a.tally;
    this.addMedia({ media, stream });
  }

  /** End 0 sends these too from now on, as the constructor's. */
  addMedia({ media = false, stream = null }) {
    const [sender] = this.ends;
    if (media) sender.addVideo();
    for (const track of stream?.getTracks() ?? []) sender.pc.addTrack(track, stream);
  }

  /** Resolves once both ends are connected and both channels open, then starts the numbered messages. */
  async start({ within = 20_000 } = {}) {
    await until(() => this.ends.every((end) => end.isConnected), "both ends connected, both channels open", within);
    this.talk();
  }

  /** Sends the numbered messages, also again after {@link hush}: a silence in between counts as no gap. */
  talk() {
    for (const { tally } of this.ends) tally.rest();
    const send = () => {
      for (const end of this.ends) end.sendNext();
    };
    this.#quiet = every(this.#interval, send, this.#steady);
  }

  /** Sends none until {@link talk}. */
  hush() {
    this.#quiet();
  }

  /** Stops the messages and waits until all that were sent are there, and no end is in a restart. */
  async stop({ within = 5_000 } = {}) {
    this.#quiet();
    await until(() => this.ends.every(({ tally }) => tally.received >= tally.sent), "all messages arrived", within).catch(() => {});
    await Promise.all(this.ends.map((end) => end.outOfRestart({ within })));
    return this.report();
  }

  close() {
    this.#quiet();
    for (const end of this.ends) end.close();
  }

  /** Per end: what its messages met on their way to the other end, and where the connection stands. */
  report() {
    return this.ends.map((end) => ({ ...end.tally.report, ...end.report() }));
  }
}

/** The selected pair of a connection by its statistics, `null` if there is none. */
export async function selectedPair(pc) {
  const stats = await pc.getStats();
  let pair = null;
  for (const entry of stats.values()) {
    if (entry.type === "transport" && entry.selectedCandidatePairId) pair = stats.get(entry.selectedCandidatePairId) ?? pair;
  }
  for (const entry of stats.values()) {
    if (!pair && entry.type === "candidate-pair" && entry.selected) pair = entry;
  }
  return pair && { pair, local: stats.get(pair.localCandidateId) ?? null, remote: stats.get(pair.remoteCandidateId) ?? null };
}
