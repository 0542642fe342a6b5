// One end of a call whose other end is on another page, perhaps in another browser. Runs in a page of the demo backend. Its
// app does what the README tells it: when its connection is lost it makes another one, at once, and the other end follows.
import { openTurnSession } from "/pkg/index.js";
import { RoomSignalling } from "/room.js";
import { End, selectedPair, until } from "./call.mjs";
import { MediaFlow } from "./media-flow.mjs";
import { listen } from "./sdk-call.mjs";

/** Small ones: two browsers encode and decode them on one machine. */
const PICTURES = { width: 160, height: 120, frameRate: 15 };

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** One connection's part of the room. */
class Signalling extends EventTarget {
  constructor(room, round) {
    super();
    this.send = (message) => room.send({ round, message });
  }
}

export class FarEnd {
  /** When this end was told that its connection is lost, and whether servers were at hand then. */
  told = null;
  /** `{pc, end, signalling, madeAt, firstArrival}`, one for each connection that was made; the times as `performance.now()`. */
  #rounds = [];
  #connections = [];
  #events = [];
  #reading = Promise.resolve();
  #pairs = [];
  #sampling = null;
  #stream = null;
  #media = null;

  /** `options`: for `openTurnSession`. `media`: it sends the browser's camera and microphone, and notes what comes of the other end's. */
  static async open({ index, room, options, media = false }) {
    const self = new FarEnd();
    self.index = index;
    if (media) self.#stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: PICTURES });
    self.session = await openTurnSession(options);
    self.expiresAt = self.session.state.expiresAt;
    self.heard = listen([self.session], self.#connections);
    self.room = await RoomSignalling.join(room);
    self.room.addEventListener("message", ({ detail: { round, message } }) => self.#read(round, message));
    self.session.addEventListener("connectionlost", ({ detail: { connection } }) => {
      if (connection !== self.#rounds.at(-1).pc) return;
      self.told ??= { at: Date.now(), servers: self.session.iceServers.some(({ credential }) => credential) };
      self.#dial(self.#rounds.length);
      self.room.send({ round: self.#rounds.length - 1, message: null });
    });
    self.#dial(0);
    return self;
  }

  /** The other end may begin the next round. An end whose credential has ended joins once it holds another one. */
  #read(round, message) {
    this.#reading = this.#reading.then(async () => {
      while (round >= this.#rounds.length && this.session.state.status === "expired") {
        await new Promise((resolve) => this.session.addEventListener("refreshed", resolve, { once: true }));
      }
      this.#dial(round);
      if (message) this.#rounds[round].signalling.dispatchEvent(new CustomEvent("message", { detail: message }));
    });
  }

  #dial(round) {
    if (round < this.#rounds.length) return;
    const pc = this.session.createPeerConnection({ iceTransportPolicy: "relay" });
    const signalling = new Signalling(this.room, round);
    const end = new End(pc, signalling, { index: this.index, events: this.#events });
    for (const track of this.#stream?.getTracks() ?? []) pc.addTrack(track, this.#stream);
    if (this.#stream) this.#media ??= new MediaFlow(pc);
    const made = { pc, end, signalling, madeAt: performance.now(), firstArrival: null };
    this.#connections.push(pc);
    this.#rounds.push(made);
    end
      .start({ within: 60_000 })
      .then(() => until(() => end.incoming.received > 0, "a message", 60_000))
      .then(() => (made.firstArrival = performance.now()), () => {});
  }

  /** Waits until the other end is heard over the last connection, and still is a second later: the problem, or `null`. */
  async settle({ within }) {
    const hears = () => {
      const { silence } = this.#rounds.at(-1).end.incoming.arrivals;
      return silence !== null && silence < 500;
    };
    const heard = () => until(hears, `end ${this.index} hears the other one`, within);
    return heard().then(() => wait(1000)).then(heard).then(() => null, String);
  }

  /** Notes the selected pair of the first connection every `interval` ms: `{at, end, type, port}`, `port` that of the relay. */
  sample(interval = 500) {
    this.#sampling = setInterval(async () => {
      const selected = await selectedPair(this.#rounds[0].pc);
      if (selected?.local) {
        this.#pairs.push({ at: Date.now(), end: this.index, type: selected.local.candidateType, port: selected.local.port });
      }
    }, interval);
  }

  /** How often the session has said `type`. */
  count(type) {
    return this.heard.filter((event) => event.type === type).length;
  }

  /** Refreshes at `moment`, ms since the epoch, and waits until a restart has come of it and no other follows: the problem, or `null`. */
  async refresh(moment) {
    const from = this.heard.length;
    const last = () => this.heard.slice(from).findLast(({ type }) => type === "restarting" || type === "restarted");
    await wait(moment - Date.now());
    const quiet = () => last()?.type === "restarted" && Date.now() - last().at > 2500;
    return this.session.refresh().then(() => until(quiet, `end ${this.index} has restarted`, 30_000)).then(() => null, String);
  }

  /** Sends no more; what is on its way may still arrive. */
  stop() {
    for (const { end } of this.#rounds) end.stop();
  }

  /** How many messages this end has sent and has received, over the first connection. */
  get counts() {
    const [{ end }] = this.#rounds;
    return { sent: end.tally.sent, received: end.incoming.received };
  }

  /** Waits until the first connection is in no restart. Closing one end would leave the other one in it. */
  async outOfRestart() {
    await this.#rounds[0].end.outOfRestart({ within: 10_000 });
  }

  /** Closes everything, and says how it went; the figures are the first connection's. */
  async finish() {
    const [{ end }, next] = this.#rounds;
    const report = {
      ...end.report(),
      // The first connection's servers beyond those of the session.
      raises: end.pc.getConfiguration().iceServers.length - this.session.iceServers.length,
      sends: end.tally.sends,
      arrivals: end.incoming.arrivals,
      told: this.told,
      heard: this.heard,
      events: this.#events,
      pairs: this.#pairs,
      media: this.#media?.report() ?? null,
      expiresAt: this.expiresAt,
      timeOrigin: performance.timeOrigin,
      next: next && {
        ms: next.firstArrival && Math.round(next.firstArrival - next.madeAt),
        // Since the last message over the first connection.
        silence: next.firstArrival && Math.round(next.firstArrival - end.incoming.lastArrival),
      },
    };
    clearInterval(this.#sampling);
    await this.session.close();
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    for (const round of this.#rounds) round.end.close();
    this.room.close();
    return report;
  }
}
