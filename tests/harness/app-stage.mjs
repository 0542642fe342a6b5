// Where an app that is made with the package runs: a browser, and a backend that gives it credentials of the demo backend.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { openBrowser } from "./browsers.mjs";
import { DemoServer } from "./demo-server.mjs";
import { DemoSession } from "./demo-session.mjs";
import { Site } from "./site.mjs";

/** What the apps share: `call(openTurnSession)`. */
export const CALL = await readFile(fileURLToPath(new URL("../apps/call.js", import.meta.url)), "utf8");

/** What a careful site sends: WebAssembly may be compiled, no text may become code, and no string markup. */
export const STRICT = {
  "content-security-policy":
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; " +
    "require-trusted-types-for 'script'; trusted-types 'none'",
};

/** How a call goes that lacks nothing. */
const WELL = { status: "active", word: "hello", over: ["relay", "relay"], fresh: true };

export class AppStage {
  #sites = [];

  /** `browser`: one that {@link openBrowser} knows, or `null` where the test brings its own. */
  static async open({ browser = "chromium" } = {}) {
    const stage = new AppStage();
    try {
      stage.server = await DemoServer.start({ ttl: 600 });
      stage.session = new DemoSession(stage.server.origin);
      if (browser) stage.browser = await openBrowser(browser);
    } catch (error) {
      await stage.close();
      throw error;
    }
    return stage;
  }

  /** The app's site, its backend included. `options`: what it serves, as {@link Site.start} takes it. */
  async site(options) {
    const site = await Site.start(options);
    this.#sites.push(site);
    site.on("/api/turn-credentials", async (_request, response, body) => {
      const answer = await this.session.ask("/api/turn-credentials", body);
      response.writeHead(answer.status, { "content-type": "application/json", "cache-control": "no-store" }).end(await answer.text());
    });
    return site;
  }

  /**
   * Loads a page that puts what it does into `globalThis.outcome`, and resolves with that and with `modules`, the addresses of the
   * WebAssembly files that came. Errors that the page did not handle fail the test, except those that match one of `expected`.
   */
  async visit(url, { expected = [] } = {}) {
    const page = await this.browser.page();
    // A development server may compile the app first.
    page.setDefaultTimeout(120_000);
    const modules = [];
    page.on("response", (response) => {
      const { pathname } = new URL(response.url());
      // A script that only tells the file's address may have its name.
      if (pathname.endsWith(".wasm") && response.request().resourceType() === "fetch") modules.push(`${response.status()} ${pathname}`);
    });
    try {
      await page.goto(url, { waitUntil: "load" });
      await page.waitForFunction(() => "outcome" in globalThis).catch((error) => {
        throw new Error(`${error.message}: ${page.troubles.join("\n") || "the page did nothing"}`);
      });
      const outcome = await page.evaluate(() => globalThis.outcome);
      assert.deepEqual(page.troubles.filter((trouble) => !expected.some((pattern) => pattern.test(trouble))), []);
      return { outcome, modules };
    } finally {
      await page.close();
    }
  }

  /** Loads a page that holds a call, which must go well. `modules`: how many WebAssembly files it fetches. */
  async expectCall(url, { modules = 1 } = {}) {
    const visit = await this.visit(url);
    assert.deepEqual(visit.outcome, WELL);
    assert.equal(visit.modules.length, modules, visit.modules.join("\n"));
    for (const module of visit.modules) assert.match(module, /^200 /);
  }

  async close() {
    await this.browser?.close();
    await Promise.all(this.#sites.map((site) => site.stop()));
    await this.server?.stop();
  }
}
