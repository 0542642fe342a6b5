// The results as tables: on the terminal and in Markdown.
import { shown } from "./figure.mjs";

const HEAD = ["", "turn-wasm", "beside it", "", "goal"];

const TITLES = { chromium: "Chromium", firefox: "Firefox" };

export const browserTitle = (name) => TITLES[name] ?? name;

const named = ({ what, browser }) => (browser ? `${what}, ${browserTitle(browser)}` : what);

const goalText = ({ goal }) => (goal ? `${goal.text}: ${goal.met ? "met" : "missed"}` : "");

const cells = (line) => [
  named(line),
  shown(line.ours),
  line.theirs ? `${shown(line.theirs)}, ${line.beside}` : "",
  line.verdict ?? "",
  goalText(line),
];

/** The table's lines as rows of cells, under their heads. */
export const table = (lines) => ({ head: HEAD, rows: lines.map(cells) });

export function markdown({ head, rows }) {
  const row = (cells) => `| ${cells.join(" | ")} |`;
  return [row(head), `|${head.map(() => "---|").join("")}`, ...rows.map(row)].join("\n");
}

const plainText = (text) => text.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").replace(/[*`]/g, "");

export function text({ head, rows }) {
  const all = [head, ...rows].map((row) => row.map(plainText));
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column].length)));
  return all.map((row) => row.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd()).join("\n");
}

const major = (version) => /\d+/.exec(version)?.[0] ?? version;

const each = (values) => [...new Set(values)].join(" and ");

/** With what, where and when: "Chromium 156 and Firefox 153; 2 cores (…), …; rounds: 15; load average 0.4; 2026-11-26". */
export function circumstances(results) {
  const versions = Object.assign({}, ...results.map(({ versions }) => versions));
  const { cpu, cores, memory, system } = results.at(-1).machine;
  // Before the part began: what else the machine was busy with.
  const loads = results.map(({ machine: { load } }) => load.toFixed(1)).sort((a, b) => a - b);
  return [
    Object.entries(versions).map(([name, version]) => `${browserTitle(name)} ${major(version)}`).sort().join(" and "),
    `${cores} cores (${cpu}), ${Math.round(memory / 2 ** 30)} GiB, ${system}`,
    `rounds: ${each(results.map(({ rounds }) => rounds))}`,
    `load average ${[...new Set([loads[0], loads.at(-1)])].join(" to ")}`,
    [...new Set(results.map(({ date }) => date.slice(0, 10)))].sort().join(" to "),
  ].filter(Boolean).join("; ");
}
