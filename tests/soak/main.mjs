// Runs a soak for so many minutes: `main.mjs --minutes N [--seed S]`. The same seed brings the same faults in the same order.
import { parseArgs } from "node:util";
import { BROWSERS } from "../harness/browsers.mjs";
import { Soak, verdict } from "./soak.mjs";

const { values: options } = parseArgs({ options: { minutes: { type: "string" }, seed: { type: "string" } } });
const minutes = Number(options.minutes);
const seed = Number(options.seed ?? Math.floor(Math.random() * 2 ** 32));
const repeat = `cargo xtask soak --minutes ${minutes} --seed ${seed}`;

console.log(`soak: ${minutes} min, seed ${seed}`);
const began = Date.now();
const stamp = () => `${((Date.now() - began) / 60_000).toFixed(1)} min`;
const soak = await Soak.open(BROWSERS, { seed, says: (text) => console.log(`${stamp()}  ${text}`) });
let result;
try {
  do await soak.round();
  while (Date.now() - began < minutes * 60_000);
  result = await soak.finish();
} finally {
  await soak.stop();
}

console.log(`\n${verdict(result).join("\n")}`);
const wrong = result.met.filter((fault) => fault.wrong.length > 0);
for (const { place, what, how, wrong: complaints } of wrong) console.log(`WRONG: ${place}: ${what} (${how}): ${complaints.join("; ")}`);
if (wrong.length > 0) {
  console.log(`\nsoak: failed, seed ${seed}; to repeat it: ${repeat}`);
  process.exitCode = 1;
} else {
  console.log(`\nsoak: passed, seed ${seed} (${repeat})`);
}
