// What an app gets from the registry: what package.json names, and nothing else.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { FOLDERS } from "../harness/site.mjs";

const PACKAGE = FOLDERS["/pkg"];

describe("the npm package", () => {
  it("holds the entry, its types, the module, its papers, and nothing else", async (t) => {
    const { stdout } = await promisify(execFile)("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: PACKAGE });
    const [{ files, size, unpackedSize }] = JSON.parse(stdout);
    t.diagnostic(`${files.length} files, ${size} bytes packed, ${unpackedSize} unpacked`);
    assert.deepEqual(files.map(({ path }) => path).sort(), [
      "CHANGELOG.md",
      "LICENSE-APACHE",
      "LICENSE-MIT",
      "README.md",
      "dist/turn_wasm.js",
      "dist/turn_wasm_bg.wasm",
      "index.d.ts",
      "index.js",
      "package.json",
    ]);
  });

  it("has no runtime dependencies and runs no scripts on installation", async () => {
    const { dependencies, peerDependencies, optionalDependencies, scripts = {} } = JSON.parse(await readFile(join(PACKAGE, "package.json"), "utf8"));
    assert.deepEqual([dependencies, peerDependencies, optionalDependencies], [undefined, undefined, undefined]);
    for (const name of ["preinstall", "install", "postinstall"]) assert.equal(scripts[name], undefined);
  });

  it("names files that exist in its exports", async () => {
    const { exports, types } = JSON.parse(await readFile(join(PACKAGE, "package.json"), "utf8"));
    const paths = (entry) => (typeof entry === "string" ? [entry] : Object.values(entry).flatMap(paths));
    for (const path of [types, ...paths(exports)]) await readFile(join(PACKAGE, path));
  });

  it("has a module that imports nothing, so that it can reach nothing", async () => {
    const module = await WebAssembly.compile(await readFile(join(PACKAGE, "dist/turn_wasm_bg.wasm")));
    assert.deepEqual(WebAssembly.Module.imports(module), []);
    assert.deepEqual(WebAssembly.Module.customSections(module, "name"), []);
    const exported = WebAssembly.Module.exports(module).filter(({ kind }) => kind === "function");
    assert.deepEqual(exported.map(({ name }) => name).sort(), ["begin", "end", "input", "length", "report"]);
  });

  it("loads its module through one static URL that bundlers can see, and never with top-level await", async () => {
    const entry = await readFile(join(PACKAGE, "index.js"), "utf8");
    const urls = entry.match(/new URL\("\.\/dist\/turn_wasm_bg\.wasm", import\.meta\.url\)/g) ?? [];
    assert.equal(urls.length, 1);
    for (const file of ["index.js", "dist/turn_wasm.js"]) {
      const lines = (await readFile(join(PACKAGE, file), "utf8")).split("\n");
      assert.ok(!lines.some((line) => /^(await|const .* = await|let .* = await|export .* = await)\b/.test(line)), `${file} awaits at the top level`);
    }
  });
});
