// The entry that carries the module, alone and beside the default entry.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { BROWSERS } from "../harness/browsers.mjs";
import { Stage } from "../harness/stage.mjs";

for (const name of BROWSERS) {
  describe(`turn-wasm/inline in ${name}`, () => {
    let stage;

    before(async () => {
      stage = await Stage.open(name, { turn: false });
      // A policy as the README names it.
      stage.site.on("/strict", async (request, response) => {
        response.writeHead(200, {
          "content-type": "text/html; charset=utf-8",
          "content-security-policy": "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; img-src data:",
        });
        response.end('<!doctype html><title>strict</title><link rel="icon" href="data:,"><script type="module" src="/strict.js"></script>');
      });
      stage.site.on("/strict.js", async (request, response) => {
        response.writeHead(200, { "content-type": "text/javascript" });
        response.end(`
          import { openTurnSession } from "/pkg/inline.js";
          const session = await openTurnSession({ source: "/turn" });
          document.title = session.state.status;
        `);
      });
    });
    after(async () => {
      await stage?.close();
    });

    it("opens a session without fetching the module", async () => {
      const { status, urls, fetched } = await stage.run(async () => {
        const { openTurnSession } = await import("/pkg/inline.js");
        const session = await openTurnSession({ source: "/turn" });
        const { status, urls } = session.state;
        await session.close();
        return { status, urls, fetched: performance.getEntriesByType("resource").map(({ name }) => new URL(name).pathname) };
      });
      assert.equal(status, "active");
      assert.equal(urls.length, 1);
      assert.ok(fetched.includes("/pkg/dist/turn_wasm_inline.js"), fetched.join(" "));
      assert.ok(!fetched.some((path) => path.endsWith(".wasm")), fetched.join(" "));
    });

    it("starts the core for the default entry too, and shares its classes", async () => {
      const result = await stage.run(async () => {
        const [inline, turn] = await Promise.all([import("/pkg/inline.js"), import("/pkg/index.js")]);
        await inline.init();
        const session = await turn.openTurnSession({ source: "/turn" });
        const kinds = [session instanceof turn.TurnSession, session instanceof inline.TurnSession];
        const error = await inline.openTurnSession({}).catch((error) => error);
        kinds.push(error instanceof turn.TurnError, error instanceof inline.TurnError);
        await session.close();
        return { kinds, wasm: performance.getEntriesByType("resource").filter(({ name }) => name.endsWith(".wasm")).length };
      });
      assert.deepEqual(result, { kinds: [true, true, true, true], wasm: 0 });
    });

    it("loads a module from elsewhere where init is given one", async () => {
      const fetched = await stage.run(async () => {
        const { init, openTurnSession } = await import("/pkg/inline.js");
        await init(new URL("/pkg/dist/turn_wasm_bg.wasm", location.href));
        const session = await openTurnSession({ source: "/turn" });
        await session.close();
        return performance.getEntriesByType("resource").filter(({ name }) => name.endsWith(".wasm")).length;
      });
      assert.equal(fetched, 1);
    });

    it("needs of a content security policy what the default entry needs", async () => {
      const page = await stage.browser.page(stage.site.url("/strict"));
      await page.waitForFunction(() => document.title !== "strict");
      assert.equal(await page.title(), "active");
      assert.deepEqual(page.troubles, []);
      await page.close();
    });
  });
}
