// A measured quantity: the values of all rounds, their median, and their spread.

/** The value below which the share `part` of sorted numbers lies, between neighbours in proportion. */
function quantile(sorted, part) {
  const place = (sorted.length - 1) * part;
  const [below, above] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  // Two infinities have no difference.
  return below === above ? below : below + (above - below) * (place - Math.floor(place));
}

/** `low` and `high` are the quartiles: half of the rounds lies between them. */
export function figure(values, unit) {
  const numbers = [values].flat();
  if (numbers.length === 0) throw new Error(`no value was measured, in ${unit}`);
  const sorted = numbers.toSorted((a, b) => a - b);
  return { unit, median: quantile(sorted, 0.5), low: quantile(sorted, 0.25), high: quantile(sorted, 0.75), values: numbers };
}

/** Round by round, so that what slowed down a whole round falls out. */
export function ratio(ours, theirs) {
  return figure(ours.values.map((value, round) => value / theirs.values[round]), "×");
}

const WHOLE = new Set(["bytes", "messages", "freezes", "frames"]);

/** A number with three significant digits at least, and thousands set apart. */
export function digits(number, unit) {
  if (number === Infinity) return "∞";
  if (WHOLE.has(unit)) return Math.round(number).toLocaleString("en");
  const after = Math.abs(number) >= 100 ? 0 : Math.abs(number) >= 10 ? 1 : 2;
  return number.toLocaleString("en", { minimumFractionDigits: after, maximumFractionDigits: after });
}

/** "0.31 ms (0.29–0.35)"; without a spread where there is none. */
export function shown({ unit, median, low, high, values }) {
  const number = digits(median, unit);
  const spread = values.length > 1 && low !== high ? ` (${digits(low, unit)}–${digits(high, unit)})` : "";
  return `${number} ${unit}${spread}`;
}
