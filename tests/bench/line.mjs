// A line of the benchmark table: a figure of turn-wasm, what stands beside it, how they compare, and the goal.
import { digits, figure, ratio } from "./figure.mjs";

/** "wins", "loses" or "even", of a ratio ours / theirs where less is better. Even is what the rounds do not agree on. */
function verdict({ low, high }) {
  if (low > 1) return "loses";
  return high < 1 ? "wins" : "even";
}

const compared = ({ median }) => (median < 1 ? `1/${digits(1 / median)}` : `${digits(median)} ×`);

/** What a goal says, and whether it is met. */
const GOALS = {
  /** Of the figure itself, in its unit. */
  atMost: (limit, { ours }) => ({ text: `at most ${digits(limit, ours.unit)} ${ours.unit}`, met: ours.median <= limit }),
  /** Of what stands beside it. */
  ratioAtMost: (limit, { ratio }) => ({ text: `at most ${digits(limit)} ×`, met: ratio.median <= limit }),
  /** So many times less than what stands beside it. */
  timesLess: (times, { ratio }) => ({ text: `at most 1/${times}`, met: 1 / ratio.median >= times }),
};

/**
 * `ours` and `theirs` are figures, less is better; `theirs` may be left out. `beside` names whose `theirs` is. `goal`: one of
 * {@link GOALS} with its number. `inReadme`: whether it is one of the lines in the README and in the chart.
 */
export function line({ what, browser = null, ours, theirs = null, beside = "plain JavaScript", goal = null, inReadme = false }) {
  const both = theirs && ratio(paired(ours, theirs), theirs);
  const [[kind, number]] = goal ? Object.entries(goal) : [[null, null]];
  return {
    what,
    browser,
    ours,
    theirs,
    beside: theirs && beside,
    ratio: both,
    verdict: both && `${verdict(both)}, ${compared(both)}`,
    goal: kind && GOALS[kind](number, { ours, ratio: both }),
    inReadme,
  };
}

/** A quantity that has one value, such as a size, is the same in every round. */
function paired(ours, theirs) {
  if (ours.values.length === theirs.values.length) return ours;
  if (ours.values.length === 1) return figure(theirs.values.map(() => ours.median), ours.unit);
  throw new Error(`${ours.values.length} rounds beside ${theirs.values.length}`);
}
