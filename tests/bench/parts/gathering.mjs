// 3. Gathering without trickle ICE, where nobody answers at port 53.
import { fileURLToPath } from "node:url";
import { BROWSERS } from "../../harness/browsers.mjs";
import { obstacle, runInNamespace } from "../../harness/namespace.mjs";
import { figure } from "../figure.mjs";
import { line } from "../line.mjs";

export const title = "Gathering without trickle ICE";

const SCRIPT = fileURLToPath(new URL("../gathering-rounds.mjs", import.meta.url));

const GOALS = { chromium: 80, firefox: 20 };

const seconds = (values) => figure(values.map((ms) => ms / 1000), "s");

export async function measure(bench) {
  const why = await obstacle();
  if (why) return { lines: [], tables: [], note: `not measured: ${why}` };
  const lines = [];
  for (const name of BROWSERS) {
    bench.says(`gathering, ${name}`);
    const { version, ours, theirs } = await runInNamespace(SCRIPT, [name, String(bench.rounds), bench.out]);
    bench.versions[name] = version;
    lines.push(
      line({
        what: "all candidates in the description, port 53 silent",
        browser: name,
        ours: seconds(ours),
        theirs: seconds(theirs),
        goal: { timesLess: GOALS[name] },
        inReadme: true,
      }),
    );
  }
  return { lines, tables: [] };
}
