// What pkg/index.js gets: the browser layer and the core's loader, bundled into one module.
export { start } from "./core.js";
export { TurnError } from "./error.js";
export { iceServersFromLink } from "./link.js";
export { open, TurnSession } from "./session.js";
