// The parts of the benchmark and their last results: one file for each, so that a part can be run anew by itself.
import { copyFile, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Bench } from "./bench.mjs";
import { chart } from "./chart.mjs";
import { circumstances, markdown, table, text } from "./report.mjs";

/** In the order of the tables. */
export const PARTS = ["size", "start", "gathering", "refresh", "survival", "memory", "fleet", "core"];

const ROOT = new URL("../../", import.meta.url);
const CHART = "docs/bench.svg";

/** Rounds of what the pages tell. */
const FEWEST = 15;

const COMMAND = "cargo xtask bench --update-readme";

/** Measures a part anew, and keeps what came of it in `PART.json`. */
export async function measure(bench, part) {
  const began = Date.now();
  const { machine } = Bench;
  const { title, measure } = await import(`./parts/${part}.mjs`);
  bench.versions = {};
  const measured = await measure(bench);
  const took = Math.round((Date.now() - began) / 1000);
  const { rounds, versions } = bench;
  const result = { part, title, date: new Date(began).toISOString(), took, rounds, machine, versions, ...measured };
  await writeFile(bench.path(`${part}.json`), `${JSON.stringify(result, null, 1)}\n`);
  return result;
}

/** Of every part that has been run, in order. */
export async function lastResults(bench) {
  const found = [];
  for (const part of PARTS) {
    const content = await readFile(bench.path(`${part}.json`), "utf8").catch(() => null);
    if (content) found.push(JSON.parse(content));
  }
  return found;
}

/** The lines of the README and of the chart. */
const shownFirst = (results) => results.flatMap(({ lines }) => lines).filter(({ inReadme }) => inReadme);

export function print(result) {
  console.log(`\n${result.title} (${circumstances([result])})\n`);
  if (result.note) console.log(result.note);
  if (result.lines.length > 0) console.log(text(table(result.lines)));
  for (const extra of result.tables) console.log(`\n${extra.caption ? `${extra.caption}\n` : ""}${text(extra)}`);
}

/** bench.json and bench.svg of all results. */
export async function combine(bench, results) {
  await writeFile(bench.path("bench.json"), `${JSON.stringify({ parts: results }, null, 1)}\n`);
  await writeFile(bench.path("bench.svg"), chart(shownFirst(results), circumstances(results)));
}

/** Puts `content` between the two marks of a page. */
export function between(page, content) {
  const begin = `<!-- ${COMMAND} -->`;
  const end = `<!-- end of ${COMMAND} -->`;
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`the page lacks the marks "${begin}" and "${end}"`);
  return `${page.slice(0, from + begin.length)}\n\n${content}\n\n${page.slice(to)}`;
}

async function rewrite(name, content) {
  const page = new URL(name, ROOT);
  await writeFile(page, between(await readFile(page, "utf8"), content));
}

function readmeSection(results) {
  return `Medians (and quartiles) of interleaved rounds: ${circumstances(results)}.\n\n${markdown(table(shownFirst(results)))}`;
}

function docsSection(results) {
  return results
    .map((result) => {
      const tables = [...(result.lines.length > 0 ? [table(result.lines)] : []), ...result.tables];
      const shown = tables.map((each) => (each.caption ? `${each.caption}\n\n${markdown(each)}` : markdown(each)));
      return [`### ${result.title}`, `${circumstances([result])}.`, ...(result.note ? [result.note] : []), ...shown].join("\n\n");
    })
    .join("\n\n");
}

/** The figures into README.md and docs/bench.md, the chart beside the latter. */
export async function updatePages(bench, results) {
  const unfit = PARTS.filter((part) => !results.some((result) => result.part === part && result.rounds >= FEWEST));
  if (unfit.length > 0) throw new Error(`no results of ${FEWEST} rounds yet of: ${unfit.join(", ")}; run \`cargo xtask bench\` for them`);
  await rewrite("README.md", readmeSection(results));
  await rewrite("docs/bench.md", docsSection(results));
  await copyFile(bench.path("bench.svg"), fileURLToPath(new URL(CHART, ROOT)));
}
