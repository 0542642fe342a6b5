// What the demo page carries of others is what its npm package holds, byte for byte, with its licence.
import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { it } from "node:test";
import { fileURLToPath } from "node:url";

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const VENDOR = path("../../www/vendor/");
const PACKAGE = path("../node_modules/uplot/");

it("has uPlot's files as npm has them", async () => {
  const files = (await readdir(`${VENDOR}uplot`)).sort();
  assert.deepEqual(files, ["LICENSE", "uPlot.iife.min.js", "uPlot.min.css"]);
  for (const file of files) {
    const [ours, theirs] = await Promise.all([
      readFile(`${VENDOR}uplot/${file}`),
      readFile(`${PACKAGE}${file === "LICENSE" ? "" : "dist/"}${file}`),
    ]);
    assert.ok(ours.equals(theirs), `www/vendor/uplot/${file} differs from the npm package's`);
  }
});

it("names the version that it was taken from", async () => {
  const { version } = JSON.parse(await readFile(`${PACKAGE}package.json`, "utf8"));
  assert.ok((await readFile(`${VENDOR}README.md`, "utf8")).includes(`uPlot) ${version}:`));
});
