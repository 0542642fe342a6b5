// What an app gets from the registry: what package.json names, and nothing else.
import assert from "node:assert/strict";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { build } from "esbuild";
import { App } from "../harness/app.mjs";
import { FOLDERS } from "../harness/site.mjs";

const PACKAGE = FOLDERS["/pkg"];
// What an app imports of it to run.
const ENTRIES = {
  "turn-wasm": "iceServersFromLink, init, openTurnSession, TurnError, TurnSession",
  "turn-wasm/inline": "iceServersFromLink, init, openTurnSession, TurnError, TurnSession",
  "turn-wasm/react": "useTurnSession",
};

describe("the npm package", () => {
  let app;
  let manifest;
  before(async () => {
    app = await App.install();
    manifest = JSON.parse(await readFile(app.path("node_modules/turn-wasm/package.json"), "utf8"));
  });
  after(() => app?.remove());

  const read = (path, ...rest) => readFile(app.path("node_modules/turn-wasm", path), ...rest);

  // What esbuild makes of an app that is this text.
  async function bundled(contents, options) {
    const { outputFiles, warnings } = await build({
      stdin: { contents, resolveDir: app.folder },
      bundle: true,
      format: "esm",
      minify: true,
      external: ["react"],
      write: false,
      logLevel: "silent",
      // It says that an import of nothing is left out, which is meant.
      logOverride: { "ignored-bare-import": "silent" },
      ...options,
    });
    assert.deepEqual(warnings, []);
    return outputFiles[0].text;
  }

  it("holds the entries, their types, the module, its papers, and nothing else", (t) => {
    const { files, size, unpackedSize } = app.packed;
    t.diagnostic(`${files.length} files, ${size} bytes packed, ${unpackedSize} unpacked`);
    assert.deepEqual(files.map(({ path }) => path).sort(), [
      "CHANGELOG.md",
      "LICENSE-APACHE",
      "LICENSE-MIT",
      "README.md",
      "dist/turn_wasm.js",
      "dist/turn_wasm_bg.wasm",
      "dist/turn_wasm_inline.js",
      "index.d.ts",
      "index.js",
      "inline.d.ts",
      "inline.js",
      "package.json",
      "react.d.ts",
      "react.js",
      "wasm.d.ts",
    ]);
  });

  it("leaves behind what a stack trace is read with: the map of the scripts, and the names of the module's functions", async () => {
    const { sources, sourcesContent } = JSON.parse(await readFile(join(PACKAGE, "dist/turn_wasm.js.map"), "utf8"));
    for (const [index, path] of sources.entries()) {
      assert.match(path, /^\.\.\/\.\.\/src\/browser\/[a-z-]+\.js$/);
      assert.equal(sourcesContent[index], await readFile(join(PACKAGE, "dist", path), "utf8"));
    }
    const lines = (await readFile(join(PACKAGE, "dist/turn_wasm_bg.symbols"), "utf8")).trim().split("\n");
    assert.deepEqual(lines.map((line) => Number(line.split(":")[0])), [...lines.keys()]);
    assert.ok(lines.some((line) => line.includes("turn_wasm")), lines.join("\n"));
  });

  it("has no runtime dependencies and runs no scripts on installation", () => {
    const { dependencies, optionalDependencies, peerDependencies, peerDependenciesMeta, scripts = {} } = manifest;
    assert.deepEqual([dependencies, optionalDependencies], [undefined, undefined]);
    // For turn-wasm/react alone: an app without React is not asked for it.
    assert.deepEqual([peerDependencies, peerDependenciesMeta], [{ react: ">=18" }, { react: { optional: true } }]);
    for (const name of ["preinstall", "install", "postinstall"]) assert.equal(scripts[name], undefined);
  });

  it("has the version of the crates and of the newest entry in the changelog", async () => {
    const [, crates] = /^\[workspace\.package\]\nversion = "([^"]+)"/m.exec(await readFile(new URL("../../Cargo.toml", import.meta.url), "utf8"));
    const [, newest] = /^## (\S+)/m.exec(await read("CHANGELOG.md", "utf8"));
    assert.deepEqual([manifest.version, newest], [crates, crates]);
  });

  it("is licensed as it says", async () => {
    assert.equal(manifest.license, "MIT OR Apache-2.0");
    assert.match(await read("LICENSE-MIT", "utf8"), /Permission is hereby granted, free of charge/);
    assert.match(await read("LICENSE-APACHE", "utf8"), /Apache License\s+Version 2\.0/);
  });

  it("names files that exist in its exports, with types for each", async () => {
    const { exports, types } = manifest;
    assert.deepEqual(Object.keys(exports), [".", "./inline", "./react", "./wasm", "./package.json"]);
    for (const [name, entry] of Object.entries(exports)) {
      if (name === "./package.json") continue;
      assert.deepEqual(Object.keys(entry), ["types", "default"], name);
      for (const path of Object.values(entry)) assert.ok((await stat(app.path("node_modules/turn-wasm", path))).isFile());
    }
    assert.equal(types, exports["."].types);
  });

  it("has a module that imports nothing, so that it can reach nothing", async () => {
    const module = await WebAssembly.compile(await read("dist/turn_wasm_bg.wasm"));
    assert.deepEqual(WebAssembly.Module.imports(module), []);
    assert.deepEqual(WebAssembly.Module.customSections(module, "name"), []);
    const exported = WebAssembly.Module.exports(module).filter(({ kind }) => kind === "function");
    assert.deepEqual(exported.map(({ name }) => name).sort(), ["begin", "end", "input", "length", "report"]);
  });

  it("loads its module through one static URL that bundlers can see, and never with top-level await", async () => {
    const entry = await read("index.js", "utf8");
    const urls = entry.match(/new URL\("\.\/dist\/turn_wasm_bg\.wasm", import\.meta\.url\)/g) ?? [];
    assert.equal(urls.length, 1);
    // A format without top-level await refuses it.
    await bundled(Object.keys(ENTRIES).map((name, index) => `import * as m${index} from "${name}"; console.log(m${index});`).join("\n"), {
      format: "iife",
      define: { "import.meta.url": '"https://app.example/app.js"' },
    });
  });

  it("costs nothing where it is imported and not used", async () => {
    for (const [name, exports] of Object.entries(ENTRIES)) {
      assert.equal(await bundled(`import "${name}";`), "", name);
      assert.equal(await bundled(`import { ${exports} } from "${name}";`), "", name);
      assert.equal(await bundled(`import * as turn from "${name}";`), "", name);
    }
  });

  it("leaves the inlined module and React out of an app that uses the default entry", async () => {
    const text = await bundled(`import { openTurnSession } from "turn-wasm"; openTurnSession({ source: "/turn" });`);
    assert.ok(text.length < 20_000, `${text.length} bytes`);
    assert.doesNotMatch(text, /react|useEffect/);
    const inline = await bundled(`import { openTurnSession } from "turn-wasm/inline"; openTurnSession({ source: "/turn" });`);
    assert.ok(inline.length > 50_000 && !inline.includes("import.meta"), `${inline.length} bytes`);
  });

  it("has one copy of its classes, whichever entries are bundled together", async () => {
    const both = await bundled(`
      import { TurnError as one, TurnSession as session } from "turn-wasm";
      import { TurnError as other, TurnSession as same } from "turn-wasm/inline";
      globalThis.identical = one === other && session === same;
    `);
    assert.equal(both.match(/extends EventTarget/g).length, 1);
    await import(`data:text/javascript,${encodeURIComponent(both)}`);
    assert.equal(globalThis.identical, true);
  });
});
