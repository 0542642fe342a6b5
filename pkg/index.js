// The package's entry: loads the WebAssembly module once, and gives its sessions the shape of an EventTarget.
// What a session decides is decided in Rust; the types and their documentation are in index.d.ts.
import { Driver, load, TurnError } from "./dist/turn_wasm.js";

export { TurnError };

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
    const input = (await module) ?? new URL("./dist/turn_wasm_bg.wasm", import.meta.url);
    await load({ module_or_path: input });
  } catch (cause) {
    throw new TurnError(
      "unsupported-environment",
      `the WebAssembly module did not load (${cause?.message ?? cause}): is dist/turn_wasm_bg.wasm served, and does ` +
        "the content security policy allow 'wasm-unsafe-eval'? init(url) loads it from another place",
      { cause },
    );
  }
}

// Only openTurnSession makes sessions.
const key = Symbol();

export async function openTurnSession(options) {
  await init();
  const session = new TurnSession(key, options);
  await session[key]();
  return session;
}

export class TurnSession extends EventTarget {
  #driver;
  // Events from before the app could listen.
  #early = [];

  constructor(proof, options) {
    if (proof !== key) throw new TypeError("sessions are made by openTurnSession()");
    super();
    this.#driver = new Driver(options, (type, detail) => this.#emit(type, detail));
  }

  async [key]() {
    await this.#driver.open();
    // A task later the app has the session and has had its chance to listen.
    setTimeout(() => {
      const early = this.#early;
      this.#early = undefined;
      for (const event of early) this.dispatchEvent(event);
    });
  }

  #emit(type, detail) {
    const event = new CustomEvent(type, { detail });
    if (this.#early) this.#early.push(event);
    else this.dispatchEvent(event);
  }

  createPeerConnection(configuration) {
    return this.#driver.createPeerConnection(configuration);
  }

  attach(pc, options) {
    this.#driver.attach(pc, options);
  }

  detach(pc) {
    this.#driver.detach(pc);
  }

  get iceServers() {
    return this.#driver.iceServers;
  }

  get state() {
    return this.#driver.state;
  }

  refresh() {
    return this.#driver.refresh();
  }

  localDescription(pc, options) {
    return this.#driver.localDescription(pc, options);
  }

  probe(options) {
    return this.#driver.probe(options);
  }

  close(options) {
    return this.#driver.close(Boolean(options?.revoke));
  }

  [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
    return this.close();
  }
}
