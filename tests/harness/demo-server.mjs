// The demo backend with its embedded TURN server.
import { fileURLToPath } from "node:url";
import { FOLDERS } from "./site.mjs";
import { TurnProgram } from "./turn-program.mjs";

export class DemoServer extends TurnProgram {
  static async start({ ttl = 20, args = [] } = {}) {
    const folders = ["--pkg", FOLDERS["/pkg"], ...["/harness", "/www"].flatMap((path) => ["--mount", `${path}=${FOLDERS[path]}`])];
    const server = new DemoServer(["--port", "0", "--ttl", String(ttl), ...folders, ...args], {
      // Credentials of a real provider in the environment would switch the embedded TURN server off.
      env: { TURN_KEY_ID: "", TURN_KEY_API_TOKEN: "", RUST_LOG: "" },
      cwd: fileURLToPath(new URL("../", import.meta.url)),
    });
    try {
      server.origin = await server.printed(/^listening on (http:\S+)$/);
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
}
