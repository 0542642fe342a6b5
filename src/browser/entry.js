// What pkg/index.js gets: the core's loader and the browser layer, bundled into one module.
export { default as load } from "turn-wasm-glue";
export { TurnError } from "./error.js";
export { open, TurnSession } from "./session.js";
