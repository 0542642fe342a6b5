// 1. Size: what each file weighs on the wire, beside plain JavaScript and what else an app might take.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { FOLDERS } from "../../harness/site.mjs";
import { bundled, weight } from "../bundle.mjs";
import { figure } from "../figure.mjs";
import { line } from "../line.mjs";

export const title = "Size";

/** As an app imports them. */
const LIBRARIES = {
  // Its bundle for browsers: the sources count on Node's modules.
  "simple-peer": 'export { default } from "simple-peer/simplepeer.min.js";',
  peerjs: 'export { Peer } from "peerjs";',
  partytracks: 'export * from "partytracks/client";',
  "livekit-client": 'export { Room } from "livekit-client";',
};

const BUDGET = 24 * 1024;

const sum = (weights) => Object.fromEntries(["raw", "gzip", "brotli"].map((kind) => [kind, weights.reduce((total, weight) => total + weight[kind], 0)]));

const bytes = (number) => number.toLocaleString("en");

async function version(name) {
  const { version } = JSON.parse(await readFile(new URL(`../node_modules/${name}/package.json`, import.meta.url)));
  return version;
}

/** What wasm-bindgen makes of one asynchronous function. */
async function floor(bench) {
  const [wasm, script] = ["wasm_bindgen_floor_bg.wasm", "wasm_bindgen_floor.js"].map((name) => bench.path("floor", name));
  return sum([weight(await readFile(wasm)), weight(await bundled(`export { default, settled } from ${JSON.stringify(script)};`))]);
}

export async function measure(bench) {
  const wasm = weight(await readFile(join(FOLDERS["/pkg"], "dist/turn_wasm_bg.wasm")));
  const script = weight(await bundled(`export { openTurnSession } from ${JSON.stringify(join(FOLDERS["/pkg"], "index.js"))};`));
  const plain = weight(await bundled('export { openPlain } from "./plain.js";'));
  const ours = sum([wasm, script]);
  const rows = [
    ["turn-wasm, the WebAssembly module", wasm],
    ["turn-wasm, the JavaScript", script],
    ["**turn-wasm**", ours],
    ["plain JavaScript ([`plain.js`](../tests/bench/plain.js))", plain],
    ["one asynchronous function through wasm-bindgen", await floor(bench)],
  ];
  for (const [name, contents] of Object.entries(LIBRARIES)) rows.push([`${name} ${await version(name)}`, weight(await bundled(contents))]);
  return {
    lines: ["brotli", "gzip"].map((kind) =>
      line({
        what: `JavaScript and WebAssembly after ${kind}`,
        ours: figure(ours[kind], "bytes"),
        theirs: figure(plain[kind], "bytes"),
        goal: kind === "brotli" ? { atMost: BUDGET } : null,
        inReadme: kind === "brotli",
      }),
    ),
    tables: [
      {
        head: ["bytes", "raw", "gzip −9", "brotli −11"],
        rows: rows.map(([name, { raw, gzip, brotli }]) => [name, bytes(raw), bytes(gzip), bytes(brotli)]),
      },
    ],
  };
}
