// What an app ships: modules bundled and made smaller as for production, and their weight.
import { copyFile, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "esbuild";
import { FOLDERS } from "../harness/site.mjs";

const WASM = "dist/turn_wasm_bg.wasm";

const HERE = fileURLToPath(new URL(".", import.meta.url));

/** A module of this text as one file, its imports within. */
export async function bundled(contents, { outfile } = {}) {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: HERE },
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    platform: "browser",
    logLevel: "error",
    outfile,
    write: outfile !== undefined,
    // Where no file is written the bytes come back.
    ...(outfile === undefined && { outdir: HERE }),
  });
  return outfile === undefined ? Buffer.from(outputFiles[0].contents) : await readFile(outfile);
}

/** In bytes, with the strongest settings of a web server, as xtask/tools/sizes.mjs has them. */
export function weight(content) {
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_SIZE_HINT]: content.length };
  return { raw: content.length, gzip: gzipSync(content, { level: 9 }).length, brotli: brotliCompressSync(content, { params }).length };
}

/** The package as an app's bundler ships it, one script and the WebAssembly module; returns the script's name under /made/. */
export async function makeOurs(bench) {
  const index = join(FOLDERS["/pkg"], "index.js");
  await bundled(`export * from ${JSON.stringify(index)};`, { outfile: bench.path("made", "ours.js") });
  await mkdir(bench.path("made", "dist"), { recursive: true });
  await copyFile(join(FOLDERS["/pkg"], WASM), bench.path("made", WASM));
  return "/made/ours.js";
}

/** The package with its module as text, as an app's bundler ships it in one script; returns its name under /made/. */
export async function makeInline(bench) {
  await bundled(`export * from ${JSON.stringify(join(FOLDERS["/pkg"], "inline.js"))};`, { outfile: bench.path("made", "inline.js") });
  return "/made/inline.js";
}

/** plain.js as it would be shipped; returns its name under /made/. */
export async function makePlain(bench) {
  await bundled('export * from "./plain.js";', { outfile: bench.path("made", "plain.js") });
  return "/made/plain.js";
}
