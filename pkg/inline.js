// The package's other entry, with the WebAssembly module in it as text, for pages and bundlers that cannot serve a file
// beside their scripts. Everything else is that of index.js: the same classes, and one core, whichever entry started it.
import { open, start } from "./dist/turn_wasm.js";
import text from "./dist/turn_wasm_inline.js";

export { iceServersFromLink, TurnError, TurnSession } from "./dist/turn_wasm.js";

// xtask/src/inline.rs wrote it, and says how.
function bytes() {
  // As long as it can get; the characters by their places, which takes half the time of an iterator.
  const bytes = new Uint8Array(text.length);
  let length = 0;
  let add = 0;
  for (let place = 0; place < text.length; place++) {
    const code = text.charCodeAt(place);
    const index = code - 32 - (code > 34) - (code > 92);
    if (index < 91) {
      bytes[length++] = add + index;
      add = 0;
    } else {
      add = 91 * (index - 90);
    }
  }
  return bytes.subarray(0, length);
}

export const init = (module) => start(bytes, module);

export const openTurnSession = (options) => open(bytes, options);
