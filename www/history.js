// What both calls were like in each second, and what happened to them, for the plots.

/** Seconds that are kept; older ones are forgotten. */
const KEPT = 900;

/** What is plotted of each call; `null` where there is nothing to plot. */
export const MEASURES = ["roundTrip", "bitrate", "gap"];

export class History {
  /** Seconds since the start, one for each sample. */
  times = [];
  /** By side and measure: numbers beside `times`. `roundTrip` and `gap` in ms, `bitrate` in kbit/s. */
  sdk = empty();
  plain = empty();
  /** `{at, kind, side}`, `at` in seconds since the start. */
  marks = [];

  #startedAt = performance.now();

  get now() {
    return (performance.now() - this.#startedAt) / 1000;
  }

  /** `sdk` and `plain`: a number or `null` for each measure. */
  add(sdk, plain) {
    this.times.push(this.now);
    for (const measure of MEASURES) {
      this.sdk[measure].push(sdk[measure] ?? null);
      this.plain[measure].push(plain[measure] ?? null);
    }
    if (this.times.length <= KEPT) return;
    for (const column of [this.times, ...MEASURES.flatMap((measure) => [this.sdk[measure], this.plain[measure]])]) column.shift();
    this.marks = this.marks.filter(({ at }) => at >= this.times[0]);
  }

  /** `kind` is "refresh", "restart", "expiry" or "fault"; `side` is "sdk" or "plain", or `null` for both. */
  mark(kind, side = null) {
    this.marks.push({ at: this.now, kind, side });
  }
}

function empty() {
  return Object.fromEntries(MEASURES.map((measure) => [measure, []]));
}
