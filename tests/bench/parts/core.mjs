// 8. The core by itself: what criterion measured natively, each input beside one ten times as large.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { digits, figure, shown } from "../figure.mjs";

export const title = "The core by itself";

/** {group: [{size, amount, unit, ns}]}, `ns` the time of one iteration, smaller inputs first. */
async function samples(folder) {
  const groups = new Map();
  for (const path of await readdir(folder, { recursive: true })) {
    if (!path.endsWith(join("new", "sample.json"))) continue;
    const json = async (name) => JSON.parse(await readFile(join(folder, path, "..", name), "utf8"));
    const [{ group_id: group, value_str: size, throughput }, { iters, times }] = await Promise.all([json("benchmark.json"), json("sample.json")]);
    const [[unit, amount]] = Object.entries(throughput);
    const ns = figure(times.map((time, index) => time / iters[index]), "ns");
    groups.set(group, [...(groups.get(group) ?? []), { size: Number(size), amount, unit, ns }]);
  }
  return [...groups].map(([group, of]) => [group, of.sort((a, b) => a.size - b.size)]);
}

/** A second's worth. */
function rate({ amount, unit, ns }) {
  const each = (amount * 1e9) / ns.median;
  return unit === "Bytes" ? `${digits(each / 1e6)} MB/s` : `${Math.round(each).toLocaleString("en")} inputs/s`;
}

const micros = ({ values }) => figure(values.map((ns) => ns / 1000), "µs");

export async function measure(bench) {
  const groups = await samples(bench.path("criterion"));
  if (groups.length === 0) throw new Error("criterion left no samples");
  return {
    lines: [],
    tables: [
      {
        head: ["", "size", "time", "throughput", "ten times the size", "time", "throughput", "times the time"],
        rows: groups.map(([group, [small, large]]) => [
          group,
          String(small.size),
          shown(micros(small.ns)),
          rate(small),
          String(large.size),
          shown(micros(large.ns)),
          rate(large),
          `${digits(large.ns.median / small.ns.median)}`,
        ]),
      },
    ],
  };
}
