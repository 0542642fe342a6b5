// A call that some library made, on connections that sessions keep supplied: which credentials it was carried under, and for
// how long nothing arrived. Runs in the page; the site answers /turn with credentials
// and /allocations with what the TURN server has allocated.
import { openTurnSession } from "/pkg/index.js";
import { selectedPair, Tally, until, wait } from "./call.mjs";
import { listen, turnUsername } from "./sdk-call.mjs";

/** How often a call is looked at, in ms. */
const LOOK = 200;

/** Numbered messages both ways between two ends. */
export class Messages {
  #senders;
  #tallies = [new Tally(), new Tally()];
  #timer;

  /** `senders`: by end, what takes a text to the other one. */
  constructor(senders) {
    this.#senders = senders;
  }

  /** `text` has come to `end`. */
  arrived(end, text) {
    this.#tallies[1 - end].noteArrival(Number(text));
  }

  start() {
    this.#timer = setInterval(() => this.#senders.forEach((send, end) => send(String(this.#tallies[end].noteSend()))), 50);
  }

  async stop() {
    clearInterval(this.#timer);
    await until(() => this.#tallies.every(({ sent, received }) => received >= sent), "all messages arrived", 5_000).catch(() => {});
  }

  /** What comes to `end`. */
  to(end) {
    const tally = this.#tallies[1 - end];
    const report = () => {
      const { sent, received, lost, repeated, largestGap } = tally.report;
      return { sent, received, lost, repeated, largestGap };
    };
    return { count: () => tally.received, stop: () => this.stop(), report };
  }
}

/** The video that a connection receives. */
export function frames(pc) {
  const count = async () => {
    let decoded = 0;
    (await pc.getStats()).forEach(({ type, framesDecoded }) => (decoded += type === "inbound-rtp" ? framesDecoded ?? 0 : 0));
    return decoded;
  };
  return { count, report: async () => ({ frames: await count() }) };
}

/** A picture that changes 25 times a second, as a stream. */
export function pictures() {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d");
  let frame = 0;
  setInterval(() => {
    context.fillStyle = `hsl(${frame++ % 360} 80% 50%)`;
    context.fillRect(0, 0, canvas.width, canvas.height);
  }, 40);
  return canvas.captureStream(25);
}

/** Shows a stream: Firefox decodes no video that nobody sees. */
export function show(stream) {
  const video = document.createElement("video");
  video.muted = true;
  video.srcObject = stream;
  document.body.append(video);
  video.play().catch(() => {});
}

/** A session, and what has come of it. */
class Supply {
  heard;
  /** The usernames that it has served, as the TURN server's log has them. */
  served = [];

  static async open(options, connections) {
    const supply = new Supply();
    supply.session = await openTurnSession({ source: "/turn", ...options });
    supply.heard = listen([supply.session], connections);
    supply.firstExpiry = supply.session.state.expiresAt;
    const note = () => supply.served.push(turnUsername(supply.session).slice(0, 8));
    note();
    supply.session.addEventListener("refreshed", note);
    return supply;
  }
}

/** One end of a call as it goes. */
class Watched {
  /** What its selected pairs were allocated under: `{at, type, port, username}`, `at` in ms since the epoch. */
  pairs = [];
  /** The longest time in which nothing came, in ms. */
  still = 0;
  #count = 0;
  #changed = performance.now();

  constructor(end, index, supply) {
    Object.assign(this, end);
    this.index = index;
    this.supply = supply;
  }

  async look(usernames) {
    const count = await this.flow?.count();
    const now = performance.now();
    if (count > this.#count) {
      this.#count = count;
      this.#changed = now;
    }
    this.still = Math.max(this.still, now - this.#changed);
    if (!this.supply) return;
    const { local } = (await selectedPair(this.pc)) ?? {};
    if (local) this.pairs.push({ at: Date.now(), type: local.candidateType, port: local.port, username: await usernames.of(local.port) });
  }

  get #isRestarting() {
    const last = this.supply.heard.findLast(({ type, detail }) => /^restart(ing|ed)$/.test(type) && detail.connection === this.index);
    return last?.type === "restarting";
  }

  /** Has been carried under the second username after the first one, is still there after the first one's end, and stays as it is. */
  get outlived() {
    const { supply, pairs } = this;
    if (!supply) return true;
    return supply.served.indexOf(pairs.at(-1)?.username) >= 2 && Date.now() > supply.firstExpiry + 1000 && !this.#isRestarting;
  }

  async report() {
    const { supply, pairs, still, flow } = this;
    // Two ends may be of one session; WebDriver BiDi brings what comes twice only once.
    const { served, heard } = structuredClone({ served: supply?.served, heard: supply?.heard });
    return { pairs, still: Math.round(still), flow: await flow?.report(), served, heard };
  }
}

/** Under which username the TURN server has allocated a port. A port is asked for once. */
class Usernames {
  #known = new Map();

  async of(port) {
    if (!this.#known.has(port)) {
      const allocations = await (await fetch("/allocations")).json();
      this.#known.set(port, allocations.findLast((allocation) => allocation.port === port)?.username);
    }
    return this.#known.get(port);
  }
}

/**
 * Has `begin({open, …parameters})` make a call, and watches until each end was carried under two further usernames, has outlived
 * its first one, and restarts no more. `open(options)` opens a session; `begin` resolves, once the call is connected, with its ends,
 * `{session, pc, flow}`, and `close`. `pc` has the statistics of an end with a session, `flow` tells what comes to an end.
 */
export async function outlive({ begin, parameters, within }) {
  const connections = [];
  const supplies = [];
  const open = async (options) => {
    const supply = await Supply.open(options, connections);
    supplies.push(supply);
    return supply.session;
  };
  const { ends, close } = await begin({ open, ...parameters });
  connections.push(...ends.map(({ pc }) => pc));
  const watched = ends.map((end, index) => new Watched(end, index, supplies.find(({ session }) => session === end.session)));
  const usernames = new Usernames();
  const deadline = performance.now() + within;
  while (!watched.every(({ outlived }) => outlived) && performance.now() < deadline) {
    await wait(LOOK);
    for (const end of watched) await end.look(usernames);
  }
  for (const { flow } of ends) await flow?.stop?.();
  const reports = await Promise.all(watched.map((end) => end.report()));
  await close();
  for (const { session } of supplies) await session.close();
  return reports;
}
