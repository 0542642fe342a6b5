// One run of the benchmarks: how many rounds, where its files go, and which browsers it met.
import { cpus, loadavg, totalmem, type } from "node:os";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openBrowser } from "../harness/browsers.mjs";
import { FOLDERS, Site } from "../harness/site.mjs";

/** Pages with these count time in steps of some microseconds. */
const ISOLATED = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

/** Firefox rounds its clock to a millisecond otherwise. */
const PRECISE = { "privacy.reduceTimerPrecision": false };

export class Bench {
  /** "Chrome/156.…" by the browser's name. */
  versions = {};

  /** `out`: the folder for results. */
  static async in(out, rounds) {
    const bench = new Bench();
    bench.rounds = rounds;
    bench.out = out;
    await mkdir(bench.path("made"), { recursive: true });
    return bench;
  }

  path(...parts) {
    return join(this.out, ...parts);
  }

  /** What runs beside the browsers is on this machine too. */
  static get machine() {
    const [{ model }] = cpus();
    return { cpu: model.trim(), cores: cpus().length, memory: totalmem(), system: type(), load: loadavg()[1] };
  }

  async browser(name, { prefs = {}, ...options } = {}) {
    const browser = await openBrowser(name, { prefs: { ...PRECISE, ...prefs }, ...options });
    this.versions[name] = await browser.version();
    return browser;
  }

  /** The package and this folder, with what was made of it; files come with these headers, `delay` ms late. */
  site({ headers = { "cache-control": "no-store" }, delay = 0 } = {}) {
    const folders = { ...FOLDERS, "/bench": fileURLToPath(new URL(".", import.meta.url)), "/made": this.path("made") };
    return Site.start({ folders, headers: { ...ISOLATED, ...headers }, delay });
  }

  /** A sign of life. */
  says(text) {
    console.log(`bench: ${text}`);
  }
}
