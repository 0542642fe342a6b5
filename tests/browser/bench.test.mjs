// That the benchmarks run and tell what they measured. No time in them decides anything here.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Bench } from "../bench/bench.mjs";
import { figure, shown } from "../bench/figure.mjs";
import { line } from "../bench/line.mjs";
import { markdown, table } from "../bench/report.mjs";
import { between, combine, lastResults, measure } from "../bench/results.mjs";
import { BROWSERS } from "../harness/browsers.mjs";

describe("a figure of the benchmarks", () => {
  it("is the median of its rounds with the quartiles", () => {
    assert.equal(shown(figure([5, 1, 3, 2, 4], "ms")), "3.00 ms (2.00–4.00)");
    assert.equal(shown(figure(23_613, "bytes")), "23,613 bytes");
    assert.throws(() => figure([], "ms"), /no value/);
  });

  it("is compared round by round, and told as a loss where it is one", () => {
    const verdict = (ours, theirs) => line({ what: "", ours: figure(ours, "ms"), theirs: figure(theirs, "ms") }).verdict;
    assert.equal(verdict([2, 20, 200], [1, 10, 100]), "loses, 2.00 ×");
    assert.equal(verdict([1, 1, 1], [100, 110, 90]), "wins, 1/100");
    assert.equal(verdict([9, 10, 11], [10, 10, 10]), "even, 1.00 ×");
  });

  it("says whether its goal is met", () => {
    const goal = (goal) => line({ what: "", ours: figure([1], "ms"), theirs: figure([80], "ms"), goal }).goal;
    assert.deepEqual(goal({ atMost: 0.5 }), { text: "at most 0.50 ms", met: false });
    assert.deepEqual(goal({ ratioAtMost: 1.1 }), { text: "at most 1.10 ×", met: true });
    assert.deepEqual(goal({ timesLess: 80 }), { text: "at most 1/80", met: true });
    assert.equal(goal({ timesLess: 81 }).met, false);
  });
});

describe("the benchmarks", () => {
  let out;

  before(async () => {
    out = await mkdtemp(join(tmpdir(), "turn-wasm-bench-"));
  });
  after(async () => {
    await rm(out, { recursive: true, force: true });
  });

  it("measure the start in each browser, and write it down", async () => {
    const bench = await Bench.in(out, 1);
    const { lines } = await measure(bench, "start");
    for (const name of BROWSERS) {
      const own = lines.filter(({ browser }) => browser === name);
      assert.ok(own.length >= 4, `${own.length} lines of ${name}`);
      for (const { ours, theirs } of own) assert.ok(ours.median > 0 && theirs.median > 0);
    }
    await combine(bench, await lastResults(bench));
    const { parts } = JSON.parse(await readFile(join(out, "bench.json"), "utf8"));
    assert.deepEqual(parts.map(({ part }) => part), ["start"]);
    const chart = await readFile(join(out, "bench.svg"), "utf8");
    const shown = lines.filter(({ inReadme }) => inReadme);
    assert.ok(shown.length > 0 && shown.every(({ what }) => chart.includes(what)), "a bar for each line");
  });
});

describe("the pages that hold the figures", () => {
  for (const name of ["README.md", "docs/bench.md"]) {
    it(`${name} has a place for them`, async () => {
      const page = await readFile(new URL(`../../${name}`, import.meta.url), "utf8");
      const lines = [line({ what: "a quantity", ours: figure([1, 2, 3], "ms") })];
      const written = between(page, markdown(table(lines)));
      assert.ok(written.includes("| a quantity | 2.00 ms (1.50–2.50) |"));
      assert.equal(between(written, "nothing"), between(page, "nothing"), "what was there before is replaced");
    });
  }
});
