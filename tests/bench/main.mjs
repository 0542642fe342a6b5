// Runs parts of the benchmark, so many rounds each; `--out` is the folder for results.
import { parseArgs } from "node:util";
import { Bench } from "./bench.mjs";
import { combine, lastResults, measure, print, updatePages } from "./results.mjs";

const { values: options } = parseArgs({
  options: {
    part: { type: "string", multiple: true, default: [] },
    rounds: { type: "string" },
    out: { type: "string" },
    "update-readme": { type: "boolean" },
  },
});

const bench = await Bench.in(options.out, Number(options.rounds));
for (const part of options.part) {
  const result = await measure(bench, part);
  print(result);
  bench.says(`${part} took ${result.took} s`);
}
const results = await lastResults(bench);
await combine(bench, results);
console.log(`\nbench: ${bench.path("bench.json")} and ${bench.path("bench.svg")}`);
if (options["update-readme"]) {
  await updatePages(bench, results);
  console.log("bench: README.md, docs/bench.md and docs/bench.svg hold these figures");
}
