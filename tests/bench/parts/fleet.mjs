// 7. Fleet: what all pages of an app together ask of their backend, as `cargo xtask fleet` simulates it.
import { readFile } from "node:fs/promises";
import { figure } from "../figure.mjs";
import { line } from "../line.mjs";

export const title = "A fleet against one backend";

const OURS = "turn-wasm";
const BESIDE = ["ttl − 60 s, retry each second", "poll every 10 min"];

/** The rows of the table that follows a paragraph which begins with this, as objects by the table's head. */
function rows(page, paragraph) {
  const lines = page.slice(page.indexOf(`**${paragraph}`)).split("\n");
  const begin = lines.findIndex((line) => line.startsWith("|"));
  const end = lines.findIndex((line, index) => index > begin && !line.startsWith("|"));
  const cells = (line) => line.split("|").slice(1, -1).map((cell) => cell.trim());
  const [head, , ...body] = lines.slice(begin, end < 0 ? undefined : end).map(cells);
  if (!head) throw new Error(`the simulation tells nothing of "${paragraph}"`);
  return body.map((row) => Object.fromEntries(head.map((name, column) => [name, row[column]])));
}

const number = (text) => Number(text.replaceAll(",", ""));

function lines(table, column, { what, unit }) {
  const ttls = [...new Set(table.map(({ ttl }) => ttl))];
  return ttls.flatMap((ttl) => {
    const of = (wanted) => figure(number(table.find(({ ttl: own, policy }) => own === ttl && policy === wanted)[column]), unit);
    return BESIDE.map((beside) =>
      line({ what: `${what}, ttl ${ttl}`, ours: of(OURS), theirs: of(beside), beside, inReadme: ttl === "600 s" && beside === BESIDE[0] }),
    );
  });
}

export async function measure(bench) {
  const page = await readFile(bench.path("fleet.md"), "utf8");
  return {
    note: "Simulated, the same on every machine; [fleet.md](fleet.md) says how, and tells of outages.",
    lines: [
      ...lines(rows(page, "Steady state."), "peak / mean", { what: "busiest minute of a fleet beside the mean", unit: "×" }),
      ...lines(rows(page, "The first refreshes"), "peak, requests/s", { what: "busiest second after all opened at once", unit: "requests/s" }),
    ],
    tables: [],
  };
}
