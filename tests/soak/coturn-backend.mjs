// A credential backend for coturn that can be killed, started anew at the same address, and told to misbehave, like that of
// ../harness/backend.mjs. It serves the test page too.
import { Site } from "../harness/site.mjs";

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class CoturnBackend {
  #coturn;
  #site;
  #fault;
  #requests = 0;

  static async start(coturn) {
    const backend = new CoturnBackend();
    backend.#coturn = coturn;
    await backend.#run(0);
    backend.port = Number(new URL(backend.page).port);
    return backend;
  }

  async #run(port) {
    this.#fault = { share: 0 };
    this.#site = await Site.start({ port });
    this.page = this.#site.page;
    this.#site.on("/credentials", async (_request, response, body) => {
      const { share = 1, status = null, headers = {}, delay = 0 } = this.#fault;
      // Evenly: of a half every second one.
      const hit = Math.floor((this.#requests + 1) * share) > Math.floor(this.#requests * share);
      this.#requests++;
      if (hit && delay) await wait(delay);
      const { ttl } = JSON.parse(body);
      const answer = hit && status ? {} : { iceServers: this.#coturn.iceServers({ ttl }), ttl };
      response.writeHead(hit && status ? status : 201, { "content-type": "application/json", "cache-control": "no-store", ...(hit && status ? headers : {}) });
      response.end(JSON.stringify(answer));
    });
  }

  /** `fault`: `{share, status, headers, delay}`; without one it behaves again. */
  async misbehave(fault = { share: 0 }) {
    this.#fault = fault;
  }

  async kill() {
    await this.#site.stop();
  }

  async restart() {
    await this.#run(this.port);
  }

  async stop() {
    await this.#site.stop();
  }
}
