// The demo backend with its embedded TURN server (TURN_DEMO_SERVER names the program), and what its log says about
// credentials and allocations.
import { fileURLToPath } from "node:url";
import { Child } from "./children.mjs";
import { FOLDERS } from "./site.mjs";

const PROGRAM = process.env.TURN_DEMO_SERVER;

/** The `name=value` pairs of a log line. */
function fields(text) {
  return Object.fromEntries([...text.matchAll(/(\w+)=("[^"]*"|\S+)/g)].map(([, name, value]) => [name, value.replaceAll('"', "")]));
}

export class DemoServer {
  #child;

  static async start({ ttl = 20, args = [] } = {}) {
    if (!PROGRAM) throw new Error("TURN_DEMO_SERVER must name the turn-demo-server program");
    const server = new DemoServer();
    const folders = ["--pkg", FOLDERS["/pkg"], ...["/harness", "/www"].flatMap((path) => ["--mount", `${path}=${FOLDERS[path]}`])];
    server.#child = new Child(PROGRAM, ["--port", "0", "--ttl", String(ttl), ...folders, ...args], {
      // Credentials of a real provider in the environment would switch the embedded TURN server off.
      env: { TURN_KEY_ID: "", TURN_KEY_API_TOKEN: "", RUST_LOG: "" },
      cwd: fileURLToPath(new URL("../", import.meta.url)),
    });
    try {
      server.origin = (await server.#child.line(/^listening on (http:\S+)$/)).at(1);
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  url(path) {
    return new URL(path, this.origin).href;
  }

  /** An empty page to run tests in. Loading it starts the session that the credential endpoint asks for. */
  get page() {
    return this.url("/harness/page.html");
  }

  get log() {
    return this.#child.log;
  }

  /** The log's events of one kind, such as "allocation created": `{at, username, …}`, `at` in ms since the epoch. */
  #events(what) {
    return this.#child.lines
      .filter(({ text }) => text.includes(what))
      .map(({ text }) => ({ at: Date.parse(text.split(" ", 1)[0]), ...fields(text) }));
  }

  /** Credentials that were minted: username's first characters -> `{mintedAt, expiresAt}`, ms since the epoch. */
  get credentials() {
    return new Map(
      this.#events("credential minted").map(({ at, username, ttl }) => [username, { mintedAt: at, expiresAt: at + Number(ttl) * 1000 }]),
    );
  }

  /** Allocations in the order they were made: `{username, createdAt, goneAt, reason, port, client, transport}`; `goneAt` is null while it lives. */
  get allocations() {
    const gone = this.#events("allocation gone");
    return this.#events("allocation created").map(({ at, username, client, transport, relay }) => {
      const end = gone.find((event) => event.client === client && event.transport === transport && event.at >= at);
      return {
        username,
        client,
        transport,
        port: Number(relay.split(":").at(-1)),
        createdAt: at,
        goneAt: end?.at ?? null,
        reason: end?.reason ?? null,
      };
    });
  }

  /** Requests that the TURN server refused: `{at, username, method, code, reason}`. */
  get refusals() {
    return this.#events("request refused");
  }

  async #post(path, body) {
    const response = await fetch(this.url(path), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`POST ${path}: ${response.status} ${await response.text()}`);
  }

  /** Revokes as the provider would, without the page knowing. */
  revoke(username) {
    return this.#post("/api/demo/revoke", { username });
  }

  stop() {
    return this.#child.stop();
  }

  [Symbol.asyncDispose]() {
    return this.stop();
  }
}
