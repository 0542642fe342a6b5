// A browser, a page's origin with a well-behaved credential endpoint, and a TURN server that honours what it hands out.
import assert from "node:assert/strict";
import { openBrowser } from "./browsers.mjs";
import { Coturn } from "./coturn.mjs";
import { Site } from "./site.mjs";

export class Stage {
  /** The requests that reached the endpoint at /turn: `{method, headers, body}`. */
  requests = [];
  /** Seconds that a credential lives. */
  ttl = 600;

  /** `turn`: whether there is a TURN server; `browser`: what {@link openBrowser} takes. */
  static async open(name, { turn = true, browser = {} } = {}) {
    const stage = new Stage();
    stage.site = await Site.start();
    stage.coturn = turn ? await Coturn.start() : null;
    stage.browser = await openBrowser(name, browser);
    stage.name = name;
    stage.site.on("/turn", async (request, response, body) => {
      stage.requests.push({ method: request.method, headers: request.headers, body });
      // Long enough for a second call to come in between.
      await new Promise((resolve) => setTimeout(resolve, 50));
      response.writeHead(201, { "content-type": "application/json" });
      response.end(JSON.stringify({ iceServers: stage.iceServers(), ttl: stage.ttl }));
    });
    return stage;
  }

  iceServers() {
    if (this.coturn) return this.coturn.iceServers({ ttl: this.ttl });
    const serial = String(this.requests.length);
    return [{ urls: ["turn:127.0.0.1:3478?transport=udp"], username: `name-${serial}`, credential: `secret-${serial}` }];
  }

  /**
   * Runs a function in a page of its own and resolves with what it returns. Errors that the page did not handle fail the
   * test, except those that match one of `expected`.
   */
  async run(pageFunction, argument, { expected = [], within = 30_000 } = {}) {
    const page = await this.browser.page(this.site.page);
    let timer;
    const tooLong = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`the page function did not return within ${within} ms`)), within);
    });
    try {
      const evaluation = page.evaluate(pageFunction, argument);
      evaluation.catch(() => {});
      const result = await Promise.race([evaluation, tooLong]);
      assert.deepEqual(page.troubles.filter((trouble) => !expected.some((pattern) => pattern.test(trouble))), []);
      return result;
    } finally {
      clearTimeout(timer);
      await page.close();
    }
  }

  async close() {
    await this.browser?.close();
    await this.site?.stop();
    await this.coturn?.stop();
  }
}
