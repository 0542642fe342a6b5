// The core as a running WebAssembly instance, and how to talk with it. It is started once.
import { fail } from "./error.js";

let starting;
// What the module exports, from engine.rs.
let core;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

// Both clocks, as engine.rs takes them.
const now = () => [Date.now(), performance.now()];

/** Begins a session with checked options, as engine.rs takes them. */
export const begin = (...options) => core.begin(...options, ...now());

export const end = (engine) => core.end(engine);

/** Tells a session what happened, or asks it: the rows that it answers with. */
export function exchange(engine, what, id = 0, number = 0, text = "", more = "") {
  // Nothing stays nothing: it can be written as well.
  const [first, second] = [text, more].map((part) => part && encoder.encode(part));
  // Each call may grow the memory, which is then another buffer.
  const bytes = (place, length) => new Uint8Array(core.memory.buffer, place, length);
  const input = core.input(engine, first.length + second.length);
  bytes(input, first.length).set(first);
  bytes(input + first.length, second.length).set(second);
  const answer = core.report(engine, what, id, number, first.length, ...now());
  return JSON.parse(decoder.decode(bytes(answer, core.length(engine))));
}

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
    const started = await WebAssembly.instantiate(source);
    core = (started.instance ?? started).exports;
  } catch (cause) {
    fail(
      "unsupported-environment",
      `the WebAssembly module did not load (${cause?.message ?? cause}): is dist/turn_wasm_bg.wasm served, and does ` +
        "the content security policy allow 'wasm-unsafe-eval'? init(url) loads it from another place",
      { cause },
    );
  }
}
