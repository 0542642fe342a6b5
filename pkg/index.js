// The package's entry: says where the WebAssembly module is, in the one form that bundlers understand. The rest is in
// dist/turn_wasm.js; the types and their documentation are in index.d.ts.
import { open, start } from "./dist/turn_wasm.js";

export { iceServersFromLink, TurnError, TurnSession } from "./dist/turn_wasm.js";

// Up to version 7 Vite's development server runs a package's scripts from a folder of its own, such as
// node_modules/.vite/deps, and leaves everything else of the package where it is.
const place = () => new URL("./dist/turn_wasm_bg.wasm", import.meta.url).href.replace(/\/node_modules\/\..+\/deps\//, "/node_modules/turn-wasm/");

export const init = (module) => start(place, module);

export const openTurnSession = (options) => open(place, options);
