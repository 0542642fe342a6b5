// One end of a call whose other end is on another page, perhaps in another browser. Runs in the page. Its app does what the
// README tells it: when its connection is lost it makes another one, at once, and the other end follows.
import { openTurnSession } from "/pkg/index.js";
import { negotiate } from "/www/negotiation.js";
import { Tally, until } from "./call.mjs";
import { listen } from "./sdk-call.mjs";

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** This end's side of the mailboxes that mailboxes.mjs serves. A message belongs to a round: the first call, the next one. */
class Post extends EventTarget {
  #end;
  #last = Promise.resolve();

  constructor(end) {
    super();
    this.#end = end;
    new EventSource(`/mailbox?end=${end}`).addEventListener("message", ({ data }) =>
      this.dispatchEvent(new CustomEvent("letter", { detail: JSON.parse(data) })),
    );
  }

  send(round, message) {
    const body = JSON.stringify({ round, message });
    this.#last = this.#last.then(() => fetch(`/mailbox?end=${1 - this.#end}`, { method: "POST", body }));
  }
}

/** What `negotiate` needs, for one round. */
class Signalling extends EventTarget {
  constructor(post, round) {
    super();
    this.send = (message) => post.send(round, message);
  }

  take(message) {
    this.dispatchEvent(new CustomEvent("message", { detail: message }));
  }
}

export class FarEnd {
  /** What happened to the connections: `{at, what, value}`, `at` in ms since the page began. */
  events = [];
  errors = [];
  /** `{pc, signalling, channel, sent, tally, made, firstArrival, hush}`, one for each connection that was made. */
  rounds = [];
  /** When this end was told that its connection is lost, and whether servers were at hand then. */
  told = null;
  #post;
  #connections = [];
  #reading = Promise.resolve();

  static async open({ end, options }) {
    const self = new FarEnd();
    self.end = end;
    self.session = await openTurnSession(options);
    self.expiresAt = self.session.state.expiresAt;
    self.heard = listen([self.session], self.#connections);
    self.#post = new Post(end);
    self.#post.addEventListener("letter", ({ detail: { round, message } }) => self.#read(round, message));
    self.session.addEventListener("connectionlost", ({ detail: { connection } }) => {
      if (connection !== self.rounds.at(-1).pc) return;
      self.told ??= { at: Date.now(), servers: self.session.iceServers.some(({ credential }) => credential) };
      self.#dial(self.rounds.length);
      self.#post.send(self.rounds.length - 1, null);
    });
    self.#dial(0);
    return self;
  }

  /** The other end may begin the next round. An end whose credential has ended joins once it holds another one. */
  #read(round, message) {
    this.#reading = this.#reading.then(async () => {
      while (round >= this.rounds.length && this.session.state.status === "expired") {
        await new Promise((resolve) => this.session.addEventListener("refreshed", resolve, { once: true }));
      }
      this.#dial(round);
      if (message) this.rounds[round].signalling.take(message);
    });
  }

  #dial(round) {
    if (round < this.rounds.length) return;
    const pc = this.session.createPeerConnection({ iceTransportPolicy: "relay" });
    const signalling = new Signalling(this.#post, round);
    const made = { pc, signalling, channel: null, sent: 0, tally: new Tally(), made: performance.now(), firstArrival: null };
    this.#connections.push(pc);
    this.rounds.push(made);
    for (const what of ["connectionState", "iceConnectionState", "signalingState"]) {
      pc.addEventListener(what.toLowerCase() + "change", () => this.events.push({ at: performance.now(), what, value: pc[what] }));
    }
    negotiate(pc, signalling, { polite: this.end === 1, onerror: (error) => this.errors.push(String(error)) });
    if (this.end === 0) this.#talk(made, pc.createDataChannel("numbers"));
    else pc.addEventListener("datachannel", ({ channel }) => this.#talk(made, channel));
  }

  #talk(made, channel) {
    made.channel = channel;
    channel.addEventListener("message", ({ data }) => {
      made.firstArrival ??= performance.now();
      made.tally.noteArrival(Number(data));
    });
    const timer = setInterval(() => {
      if (channel.readyState === "open") channel.send(String(made.sent++));
    }, 20);
    made.hush = () => clearInterval(timer);
  }

  /** Whether what the other end sends arrives, over the last connection. */
  hears() {
    const { silence } = this.rounds.at(-1).tally.report;
    return silence !== null && silence < 500;
  }

  /** Waits until the other end is heard, and still is a second later: the problem, or `null`. */
  async settle({ within }) {
    const heard = () => until(() => this.hears(), `end ${this.end} hears the other one`, within);
    try {
      await heard();
      await wait(1000);
      await heard();
      return null;
    } catch (error) {
      return String(error);
    }
  }

  /** Sends no more; what is on its way may still arrive. */
  hush() {
    for (const { hush } of this.rounds) hush?.();
  }

  /** How many messages this end has sent and has received, over the first connection. */
  get counts() {
    const [{ sent, tally }] = this.rounds;
    return { sent, received: tally.received };
  }

  /** Closes everything, and says how it went; the figures are the first call's. */
  async finish() {
    const [{ pc, sent, tally, channel }, next] = this.rounds;
    const report = {
      end: this.end,
      sent,
      arrived: tally.report,
      connectionState: pc.connectionState,
      channel: channel?.readyState ?? null,
      told: this.told,
      errors: this.errors,
      heard: this.heard,
      events: this.events,
      expiresAt: this.expiresAt,
      timeOrigin: performance.timeOrigin,
      next: next && {
        ms: next.firstArrival && Math.round(next.firstArrival - next.made),
        // Since the last message over the first connection.
        silence: next.firstArrival && Math.round(next.firstArrival - tally.lastArrival),
      },
    };
    await this.session.close();
    for (const { pc } of this.rounds) pc.close();
    return report;
  }
}
