// The package's other entry, with the WebAssembly module in it as text, for pages and bundlers that cannot serve a file
// beside their scripts. Everything else is that of index.js: the same classes, and one core, whichever entry started it.
import { open, start } from "./dist/turn_wasm.js";
import text from "./dist/turn_wasm_inline.js";

export { iceServersFromLink, TurnError, TurnSession } from "./dist/turn_wasm.js";

// xtask/src/inline.rs wrote it, and says how.
function bytes() {
  const bytes = [];
  let add = 0;
  for (const character of text) {
    const code = character.charCodeAt(0);
    const index = code - 32 - (code > 34) - (code > 92);
    if (index < 91) {
      bytes.push(add + index);
      add = 0;
    } else {
      add = 91 * (index - 90);
    }
  }
  return new Uint8Array(bytes);
}

export const init = (module) => start(bytes, module);

export const openTurnSession = (options) => open(bytes, options);
