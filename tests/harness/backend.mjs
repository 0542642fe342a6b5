// A credential backend that can be killed, started anew at the same address, and told to misbehave. It serves the test
// page too.
import { fileURLToPath } from "node:url";
import { Child } from "./children.mjs";

const PROGRAM = fileURLToPath(new URL("backend-process.mjs", import.meta.url));

export class Backend {
  #upstream;
  #children = [];

  /** `upstream`: the origin of the demo backend whose credentials it hands out. */
  static async start(upstream) {
    const backend = new Backend();
    backend.#upstream = upstream;
    await backend.#run(0);
    return backend;
  }

  async #run(port) {
    const child = new Child(process.execPath, [PROGRAM, String(port), this.#upstream]);
    this.#children.push(child);
    this.origin = (await child.line(/^listening on (http:\S+)$/)).at(1);
  }

  url(path) {
    return new URL(path, this.origin).href;
  }

  /** An empty page to run tests in. */
  get page() {
    return this.url("/harness/page.html");
  }

  /** `fault` as backend-process.mjs describes it; without one it behaves again. */
  async misbehave(fault = { share: 0 }) {
    await fetch(this.url("/fault"), { method: "POST", body: JSON.stringify(fault) });
  }

  /** Ends it without a chance to say goodbye. */
  async kill() {
    const child = this.#children.at(-1);
    child.signal("SIGKILL");
    await child.exited;
  }

  /** Starts it anew after {@link kill}, without its fault. */
  async restart() {
    await this.#run(Number(new URL(this.origin).port));
  }

  /** The requests for credentials, in order: `{at, status}`, `at` in ms since the epoch. */
  get requests() {
    return this.#children
      .flatMap(({ lines }) => lines)
      .map(({ text }) => /^request at=(\d+) status=(\d+)$/.exec(text))
      .filter(Boolean)
      .map(([, at, status]) => ({ at: Number(at), status: Number(status) }));
  }

  async stop() {
    await Promise.all(this.#children.map((child) => child.stop()));
  }

  [Symbol.asyncDispose]() {
    return this.stop();
  }
}
