// That the soak runs: a round of it, with the faults that a seed brings. Its verdict is `cargo xtask soak`'s to give; here it
// must only be told.
import assert from "node:assert/strict";
import { it } from "node:test";
import { BROWSERS } from "../harness/browsers.mjs";
import { Random } from "../soak/random.mjs";
import { Soak, verdict } from "../soak/soak.mjs";

/** The faults of its first round are short. */
const SEED = 2;

/** Seconds that a credential lives: a call has found its feet when it has met another one. */
const TTL = 16;

it("a seed repeats its numbers, and another one has others", () => {
  const numbers = (seed) => {
    const random = new Random(seed);
    return Array.from({ length: 20 }, () => random.between(1, 6));
  };
  assert.deepEqual(numbers(7), numbers(7));
  assert.notDeepEqual(numbers(7), numbers(8));
  assert.ok(numbers(7).every((number) => number >= 1 && number <= 6));
});

it("a round of a soak lets each call meet a fault, and tells how that went", async (t) => {
  const soak = await Soak.open(BROWSERS, { seed: SEED, ttls: [TTL], says: (text) => t.diagnostic(text) });
  let result;
  try {
    await soak.round();
    result = await soak.finish();
  } finally {
    await soak.stop();
  }
  assert.equal(result.met.length, 2 * BROWSERS.length);
  for (const { wrong, place, what } of result.met) assert.deepEqual(wrong, [], `${place}: ${what}`);
  assert.match(verdict(result).at(-1), /^1 round, \d+ faults met by \d+ calls: [\d,]+ messages sent, 0 lost/);
});
