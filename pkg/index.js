// The package's entry: says where the WebAssembly module is, in the one form that bundlers understand. The rest is in
// dist/turn_wasm.js; the types and their documentation are in index.d.ts.
import { open, start } from "./dist/turn_wasm.js";

export { iceServersFromLink, TurnError, TurnSession } from "./dist/turn_wasm.js";

const place = () => new URL("./dist/turn_wasm_bg.wasm", import.meta.url);

export const init = (module) => start(place, module);

export const openTurnSession = (options) => open(place, options);
