// The core as a running WebAssembly instance, bound to what wasm-bindgen wrote for it. It is started once.
import * as glue from "turn-wasm-glue";
import { fail } from "./error.js";

let starting;

/**
 * Starts the core, the first time. `module`: where it is, its bytes, or the compiled module, or a promise of that; by
 * default what is at `place()`.
 */
export const start = (place, module) =>
  (starting ??= load(place, module).catch((error) => {
    starting = undefined;
    throw error;
  }));

async function load(place, module) {
  const missing = ["WebAssembly", "fetch", "location", "navigator", "WeakRef"].find((name) => !(name in globalThis));
  if (missing) fail("unsupported-environment", `this environment has no ${missing}: open sessions in a browser, not on a server`);
  try {
    let source = (await module) ?? place();
    if (source instanceof URL || source instanceof Request || typeof source === "string") source = await fetch(source);
    if (source instanceof Response) {
      if (!source.ok) throw new Error(`status ${source.status} for ${source.url}`);
      // Not streamed: it is small, and so it loads from servers that do not know its media type as well.
      source = await source.arrayBuffer();
    }
    const started = await WebAssembly.instantiate(source, { "./turn_wasm_bg.js": glue });
    const { exports } = started.instance ?? started;
    glue.__wbg_set_wasm(exports);
    exports.__wbindgen_start();
  } catch (cause) {
    fail(
      "unsupported-environment",
      `the WebAssembly module did not load (${cause?.message ?? cause}): is dist/turn_wasm_bg.wasm served, and does ` +
        "the content security policy allow 'wasm-unsafe-eval'? init(url) loads it from another place",
      { cause },
    );
  }
}
