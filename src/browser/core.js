// The core as a running WebAssembly instance, bound to what wasm-bindgen wrote for it.
import * as glue from "turn-wasm-glue";

/** Starts the core. `module`: where it is, its bytes, or the compiled module. */
export async function load(module) {
  let source = module instanceof URL || module instanceof Request || typeof module === "string" ? await fetch(module) : module;
  if (source instanceof Response) {
    if (!source.ok) throw new Error(`status ${source.status} for ${source.url}`);
    // Not streamed: it is small, and so it loads from servers that do not know its media type as well.
    source = await source.arrayBuffer();
  }
  const started = await WebAssembly.instantiate(source, { "./turn_wasm_bg.js": glue });
  const { exports } = started.instance ?? started;
  glue.__wbg_set_wasm(exports);
  exports.__wbindgen_start();
}
