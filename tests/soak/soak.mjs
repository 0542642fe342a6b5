// A soak: in two browsers two pages each hold a relayed call, one over the demo backend's TURN server, which is strict, one
// over coturn. In rounds, each page meets a fault of its own, or some of them one that they share; then every call must have
// found its feet before the next round begins. A seed decides the faults.
import { Backend } from "../harness/backend.mjs";
import { openBrowser } from "../harness/browsers.mjs";
import { Coturn } from "../harness/coturn.mjs";
import { DemoServer } from "../harness/demo-server.mjs";
import { CoturnBackend } from "./coturn-backend.mjs";
import { LOCAL, SHARED } from "./faults.mjs";
import { Place } from "./place.mjs";
import { Random } from "./random.mjs";

/** Rounds of faults of each page's own for one of a shared fault, in the mean. */
const LOCAL_ROUNDS = 3;

/** Firefox takes a relay from each TURN URL for each network interface, and is the slower for it at every later restart: one is enough. */
const PREFS = { "media.peerconnection.ice.default_address_only": true };

/** Seconds that credentials live. */
const TTLS = [16, 20, 24, 30];

export class Soak {
  /** `{what, place, how, lost, wrong}` for each fault that a page met. */
  met = [];
  rounds = 0;
  #seed;
  #random;
  #closers = [];

  /** `names`: of the browsers. */
  static async open(names, { seed, ttls = TTLS, says = () => {} }) {
    const soak = new Soak();
    soak.#seed = seed;
    soak.#random = new Random(seed);
    soak.says = says;
    try {
      await soak.#open(names, ttls);
    } catch (error) {
      await soak.stop();
      throw error;
    }
    return soak;
  }

  async #open(names, ttls) {
    const keep = (opened, end = () => opened.stop()) => {
      this.#closers.unshift(end);
      return opened;
    };
    const server = keep(await DemoServer.start({ ttl: 24 }));
    const coturn = keep(await Coturn.start());
    this.places = [];
    for (const name of names) {
      const browser = await openBrowser(name, { prefs: PREFS });
      keep(browser, () => browser.close());
      const strict = keep(await Backend.start(server.origin));
      const lenient = keep(await CoturnBackend.start(coturn));
      // Each has its own random numbers: how often a call is lost must not change the faults to come.
      const random = () => new Random(this.#seed + this.places.length + 1);
      this.places.push(new Place({ name: `${name}, strict`, browser, backend: strict, server, random: random(), ttls }));
      this.places.push(new Place({ name: `${name}, coturn`, browser, backend: lenient, coturn, random: random(), ttls }));
    }
    for (const place of this.places) await place.open();
  }

  /** One round; what was wrong in it is in {@link met}. */
  async round() {
    this.rounds++;
    const plans = this.#plans();
    const from = Date.now();
    await Promise.all(plans.filter(({ run }) => run).map(({ run }) => run()));
    const since = Date.now();
    const told = await Promise.all(this.places.map((place) => place.judge(since).catch((error) => ({ wrong: [String(error)], lost: true }))));
    for (const [index, place] of this.places.entries()) {
      const { what, how } = plans[index];
      const { wrong, lost } = told[index];
      this.met.push({ what, how, place: place.name, lost, wrong });
      this.says(`round ${this.rounds}, ${place.name}: ${what} (${how}): ${wrong.length ? `WRONG: ${wrong.join("; ")}` : lost ? "lost and replaced" : "goes on"}`);
      if (wrong.length === 0 && !lost) continue;
      const story = await place.close(from).catch((error) => [`the page did not tell more: ${error}`]);
      for (const text of story) this.says(`  ${text}`);
      await place.open();
    }
  }

  /** For each place what it meets in this round; all numbers are drawn here. */
  #plans() {
    const random = this.#random;
    if (random.between(0, LOCAL_ROUNDS) === 0) {
      // One that nobody can meet, since its browser is not here, is as good as none.
      const shared = SHARED.filter(({ plan }) => this.places.some((place) => plan(new Random(0)).meets(place)));
      const fault = random.pick(shared);
      const { how, run, meets } = fault.plan(random);
      const first = this.places.find(meets);
      return this.places.map((place) =>
        meets(place) ? { what: fault.what, how, run: place === first && (() => run(place)) } : { what: "nothing", how: "beside it", run: null },
      );
    }
    return this.places.map((place) => {
      const fault = random.pick(LOCAL.filter(({ strict }) => place.isStrict || !strict));
      const { how, run } = fault.plan(random);
      return { what: fault.what, how, run: () => run(place) };
    });
  }

  /** Ends all calls, and what they need. */
  async finish() {
    for (const place of this.places) await place.close();
    await this.stop();
    return { rounds: this.rounds, met: this.met, calls: this.places.flatMap(({ ended }) => ended) };
  }

  async stop() {
    for (const close of this.#closers.splice(0)) await close();
  }
}

/** The result as lines. */
export function verdict({ rounds, met, calls }) {
  const kinds = new Map();
  for (const { what, lost, wrong } of met) {
    const kind = kinds.get(what) ?? { times: 0, lost: 0, wrong: 0 };
    kind.times++;
    if (wrong.length > 0) kind.wrong++;
    else if (lost) kind.lost++;
    kinds.set(what, kind);
  }
  const sum = (of) => calls.reduce((total, call) => total + of(call), 0);
  return [
    ...[...kinds].sort(([a], [b]) => a.localeCompare(b)).map(([what, { times, lost, wrong }]) =>
      `${what}: met ${times} times, ${times - lost - wrong} times the call went on` +
      `${lost ? `, ${lost} times it was lost, told of and replaced` : ""}${wrong ? `, ${wrong} times something was wrong` : ""}`),
    `${rounds} ${rounds === 1 ? "round" : "rounds"}, ${met.length} faults met by ${calls.length} calls: ${sum(({ sent }) => sent).toLocaleString("en")} messages sent, ` +
      `${sum(({ lost }) => lost).toLocaleString("en")} lost in calls that went on`,
  ];
}
