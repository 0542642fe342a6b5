// A call: two ends on this page that know each other only through their signalling.

import { End } from "./end.js";
import { signallingPair } from "./signalling.js";

/** How long connecting may take, in ms. */
const CONNECTING = 20_000;

/** How long messages under way are waited for when the call ends, in ms. */
const DRAINING = 2_000;

/** Without a message for so long a path counts as interrupted while ICE looks for another, in ms. */
const QUIET = 1_000;

/** Without a message for so long nothing comes through, in ms. They are sent every 20 ms. */
const SILENCE = 2_000;

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Events: `statechange`, and `error` with the error as `detail`. */
export class Call extends EventTarget {
  #closed = false;
  #wasConnected = false;

  /** `supply` makes the connections. `stream` goes from end A to end B, where `onstream` gets it. The rest is each {@link End}'s. */
  constructor(supply, stream, { onstream, ...options }) {
    super();
    const [signallingA, signallingB] = signallingPair();
    const onerror = (error) => this.dispatchEvent(new CustomEvent("error", { detail: error }));
    this.a = new End("A", supply, signallingA, { ...options, polite: false, onerror });
    this.b = new End("B", supply, signallingB, { ...options, polite: true, onerror });
    this.ends = [this.a, this.b];

    for (const { pc } of this.ends) {
      pc.addEventListener("connectionstatechange", () => this.dispatchEvent(new Event("statechange")));
    }
    this.b.pc.addEventListener("track", ({ streams }) => onstream(streams[0]));
    this.b.awaitChannel();
    for (const track of stream.getTracks()) this.a.pc.addTrack(track, stream);
    this.a.makeChannel();
  }

  /** "connecting", "connected", "interrupted", "lost" or "ended". */
  get state() {
    if (this.#closed) return "ended";
    const states = this.ends.map(({ pc }) => pc.connectionState);
    if (states.includes("failed")) return "lost";
    if (states.includes("disconnected")) return "interrupted";
    if (states.every((state) => state === "connected")) {
      this.#wasConnected = true;
      return "connected";
    }
    if (!this.#wasConnected) return "connecting";
    // Firefox calls an ICE restart so, although the old path carries the call meanwhile.
    return performance.now() - this.heardUntil < QUIET ? "connected" : "interrupted";
  }

  /** `performance.now()` of the moment up to which both ends have heard from each other. */
  get heardUntil() {
    return Math.min(...this.ends.map((end) => end.numbers?.lastArrival ?? 0));
  }

  /** Whether nothing has come at one of the ends for longer than any pause of a path that works. */
  get isSilent() {
    return this.heardUntil > 0 && performance.now() - this.heardUntil > SILENCE;
  }

  /** Messages of both directions together. Those still under way when the call ends or fails are lost. */
  get messages() {
    const numbers = this.ends.map((end) => end.numbers).filter(Boolean);
    const sum = (of) => numbers.reduce((total, each) => total + of(each), 0);
    const sent = sum((each) => each.sent);
    const received = sum((each) => each.received);
    const over = this.state === "ended" || this.state === "lost";
    return {
      sent,
      received,
      lost: over ? sent - received : sum((each) => each.skipped),
      largestGap: Math.max(0, ...numbers.map((each) => each.largestGap)),
    };
  }

  /** Since this was last asked, in ms: `{roundTrip, gap}`, `null` where nothing has come. */
  sample() {
    const samples = this.ends.map((end) => end.numbers?.sample() ?? { delay: null, gap: null });
    const delays = samples.map(({ delay }) => delay);
    const gaps = samples.map(({ gap }) => gap);
    return {
      roundTrip: delays.includes(null) ? null : delays[0] + delays[1],
      gap: gaps.includes(null) ? null : Math.max(...gaps),
    };
  }

  endOf(pc) {
    return this.ends.find((end) => end.pc === pc);
  }

  /** Resolves once both ends are connected and have heard from each other. */
  async connected() {
    const deadline = performance.now() + CONNECTING;
    while (this.state !== "connected" || this.heardUntil === 0) {
      if (this.#closed) throw new CallError("The call was ended while it was being set up.");
      if (this.state === "lost" || performance.now() > deadline) {
        throw new CallError(
          "The two ends could not reach each other. Check that the TURN server is running and that " +
            "nothing between it and this browser blocks its ports, then start the call again.",
        );
      }
      await wait(50);
    }
  }

  /** Stops the messages, waits for those under way, and closes both ends. */
  async end() {
    for (const end of this.ends) end.numbers?.stop();
    const deadline = performance.now() + DRAINING;
    while (this.state === "connected" && performance.now() < deadline) {
      const { sent, received } = this.messages;
      if (sent === received) break;
      await wait(20);
    }
    this.close();
  }

  close() {
    this.#closed = true;
    for (const end of this.ends) end.close();
  }
}

/** Its message is a sentence for whoever looks at the page. */
export class CallError extends Error {
  name = "CallError";
}
