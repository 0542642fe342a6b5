// Both calls over time: round trip, bitrate and message gaps, with marks for what happened. Drawn by uPlot (vendor/uplot).

import { MEASURES } from "./history.js";

/* global uPlot */

/** Seconds that a plot shows. */
const WINDOW = 120;

const PLOTS = {
  roundTrip: { label: "Round trip", unit: "ms", digits: 1, scale: { range: (_, low, high) => [0, Math.max(10, high * 1.2)] } },
  bitrate: { label: "Video", unit: "kbit/s", digits: 0, scale: { range: (_, low, high) => [0, Math.max(100, high * 1.2)] } },
  // From 20 ms between two messages to minutes without any.
  gap: {
    label: "Longest gap", unit: "ms", digits: 0,
    scale: { distr: 3, log: 10, range: () => [10, 200_000] },
    splits: () => [10, 100, 1_000, 10_000, 100_000],
  },
};

/** Letter, row and colour of each kind of mark. */
const MARKS = {
  refresh: { letter: "R", row: 0, colour: "--good" },
  restart: { letter: "I", row: 1, colour: "--quiet" },
  expiry: { letter: "E", row: 2, colour: "--bad" },
  fault: { letter: "F", row: 3, colour: "--warm" },
};

const ROW = 12;
const HEIGHT = 190;

export class Plots {
  #figures;
  #plots = [];
  #history = null;

  /** `figures` are the elements of the three plots, by `data-plot`. */
  constructor(figures) {
    this.#figures = Object.fromEntries(figures.map((figure) => [figure.dataset.plot, figure]));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#build());
    new ResizeObserver(() => this.#fit()).observe(figures[0]);
  }

  /** Plots `history` from now on. */
  follow(history) {
    this.#history = history;
    this.#build();
  }

  #build() {
    if (this.#history === null) return;
    for (const plot of this.#plots) plot.destroy();
    this.#plots = MEASURES.map((measure) => this.#plot(measure));
    this.show();
  }

  #plot(measure) {
    const { scale, splits } = PLOTS[measure];
    const place = this.#place(measure);
    const colour = colours(place);
    const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--edge"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const line = { width: 2, points: { show: false }, spanGaps: false };
    return new uPlot(
      {
        width: place.clientWidth,
        height: HEIGHT,
        padding: [ROW * 4, 12, 0, 0],
        legend: { show: false },
        cursor: { show: false },
        scales: { x: { time: false, range: () => this.#range() }, y: scale },
        axes: [
          { ...axis, values: (_, ticks) => ticks.map((tick) => `${tick} s`), size: 28 },
          { ...axis, values: (_, ticks) => ticks.map(tick), size: 54, splits, filter: (_, ticks) => ticks },
        ],
        series: [
          {},
          { ...line, stroke: colour("--sdk") },
          { ...line, stroke: colour("--plain"), dash: [6, 4] },
        ],
        hooks: { draw: [(plot) => drawMarks(plot, this.#history.marks, colour)] },
      },
      this.#columns(measure),
      place,
    );
  }

  #place(measure) {
    return this.#figures[measure].querySelector(".plot");
  }

  #columns(measure) {
    const { times, sdk, plain } = this.#history;
    return [times, sdk[measure], plain[measure]];
  }

  #range() {
    const last = this.#history.now;
    return [Math.max(0, last - WINDOW), Math.max(WINDOW / 2, last)];
  }

  #fit() {
    for (const [index, plot] of this.#plots.entries()) {
      const { clientWidth: width } = this.#place(MEASURES[index]);
      if (width > 0 && width !== plot.width) plot.setSize({ width, height: HEIGHT });
    }
  }

  /** Draws what has come since. */
  show() {
    for (const [index, measure] of MEASURES.entries()) {
      this.#plots[index].setData(this.#columns(measure));
      const values = ["sdk", "plain"].map((side) => this.#inWords(measure, this.#history[side][measure].at(-1)));
      const figure = this.#figures[measure];
      figure.querySelector("[data-value=sdk]").textContent = values[0];
      figure.querySelector("[data-value=plain]").textContent = values[1];
      const { label } = PLOTS[measure];
      this.#place(measure).setAttribute("aria-label", `${label} over time. Now, by turn-wasm: ${values[0]}; by hand: ${values[1]}.`);
    }
  }

  #inWords(measure, value) {
    const { unit, digits } = PLOTS[measure];
    return value === null || value === undefined ? "–" : `${value.toLocaleString("en", { maximumFractionDigits: digits })} ${unit}`;
  }
}

/** A value beside the vertical axis. */
function tick(value) {
  return value >= 1_000 ? `${value / 1_000}k` : String(value);
}

/** Reads colours from the page's style. */
function colours(element) {
  const style = getComputedStyle(element);
  return (name) => style.getPropertyValue(name).trim();
}

function drawMarks(plot, marks, colour) {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  const [from, to] = [plot.scales.x.min, plot.scales.x.max];
  ctx.save();
  ctx.font = `600 ${10 * ratio}px system-ui, sans-serif`;
  ctx.textAlign = "center";
  ctx.textBaseline = "top";
  for (const { at, kind, side } of marks) {
    if (at < from || at > to) continue;
    const { letter, row, colour: name } = MARKS[kind];
    const x = Math.round(plot.valToPos(at, "x", true));
    const top = bbox.top - (4 - row) * ROW * ratio;
    ctx.strokeStyle = ctx.fillStyle = colour(side === "plain" ? "--plain" : name);
    ctx.lineWidth = ratio;
    ctx.setLineDash(kind === "expiry" ? [2 * ratio, 3 * ratio] : []);
    ctx.globalAlpha = kind === "fault" || kind === "expiry" ? 0.9 : 0.35;
    ctx.beginPath();
    ctx.moveTo(x, top + ROW * ratio);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.globalAlpha = 1;
    ctx.fillText(letter, x, top);
  }
  ctx.restore();
}
