// The package's entry: loads the WebAssembly module once. What a session decides is decided there; the types and their
// documentation are in index.d.ts.
import { load, open, TurnError, TurnSession } from "./dist/turn_wasm.js";

export { TurnError, TurnSession };

let loading;

export function init(module) {
  return (loading ??= start(module).catch((error) => {
    loading = undefined;
    throw error;
  }));
}

async function start(module) {
  const missing = ["WebAssembly", "fetch", "location", "navigator", "WeakRef"].find((name) => !(name in globalThis));
  if (missing) {
    throw new TurnError(
      "unsupported-environment",
      `this environment has no ${missing}: open sessions in a browser, not while rendering on a server`,
    );
  }
  try {
    await load((await module) ?? new URL("./dist/turn_wasm_bg.wasm", import.meta.url));
  } catch (cause) {
    throw new TurnError(
      "unsupported-environment",
      `the WebAssembly module did not load (${cause?.message ?? cause}): is dist/turn_wasm_bg.wasm served, and does ` +
        "the content security policy allow 'wasm-unsafe-eval'? init(url) loads it from another place",
      { cause },
    );
  }
}

export async function openTurnSession(options) {
  await init();
  return open(options);
}
