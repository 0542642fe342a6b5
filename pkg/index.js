// The package's entry: loads the WebAssembly module once, and gives its sessions the shape of an EventTarget.
// What a session decides is decided in Rust; the types and their documentation are in index.d.ts.
import load, { open } from "./dist/turn_wasm.js";

export class TurnError extends Error {
  constructor(code, message, { status, retryable = false, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "TurnError";
    this.code = code;
    this.retryable = retryable;
    if (status !== undefined) this.status = status;
  }
}

let loading;

export function init(module) {
  return (loading ??= start(module).catch((error) => {
    loading = undefined;
    throw error;
  }));
}

async function start(module) {
  const missing = ["WebAssembly", "fetch", "location", "AbortController", "WeakRef"].find((name) => !(name in globalThis));
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
  const session = new TurnSession(key);
  return session[key](options);
}

export class TurnSession extends EventTarget {
  #handle;
  // The state after the end.
  #last;
  #closing;
  // Events from before the app could listen.
  #early = [];

  constructor(proof) {
    if (proof !== key) throw new TypeError("sessions are made by openTurnSession()");
    super();
  }

  async [key](options) {
    this.#handle = await open(options, {
      error: (code, message, status, retryable, cause) => new TurnError(code, message, { status, retryable, cause }),
      emit: (type, detail) => this.#emit(type, detail),
    });
    // A task later the app has the session and has had its chance to listen.
    setTimeout(() => {
      const early = this.#early;
      this.#early = undefined;
      for (const [type, detail] of early) this.#emit(type, detail);
    });
    return this;
  }

  #emit(type, detail) {
    if (this.#early) {
      this.#early.push([type, detail]);
      return;
    }
    this.dispatchEvent(new CustomEvent(type, { detail }));
    if (type === "closed") this.#release();
  }

  // A closed session needs nothing of the WebAssembly module any more.
  #release() {
    const handle = this.#handle;
    if (!handle) return;
    this.#last = handle.state();
    this.#handle = undefined;
    queueMicrotask(() => handle.free());
  }

  get #live() {
    if (this.#handle) return this.#handle;
    throw new TurnError("closed", "the session is closed; open another one with openTurnSession()");
  }

  createPeerConnection(configuration) {
    return this.#live.createPeerConnection(configuration);
  }

  attach(pc, options) {
    this.#live.attach(pc, options);
  }

  detach(pc) {
    this.#handle?.detach(pc);
  }

  get iceServers() {
    return this.#live.iceServers();
  }

  get state() {
    return this.#last ?? this.#handle.state();
  }

  async refresh() {
    await this.#live.refresh();
  }

  async localDescription(pc, options) {
    return this.#live.localDescription(pc, options);
  }

  async probe(options) {
    return this.#live.probe(options);
  }

  close(options) {
    return (this.#closing ??= Promise.resolve(this.#handle?.close(Boolean(options?.revoke))));
  }

  [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
    return this.close();
  }
}
