// What pkg/index.js gets: the core's loader and the browser layer, bundled into one module.
export { load } from "./core.js";
export { TurnError } from "./error.js";
export { open, TurnSession } from "./session.js";
