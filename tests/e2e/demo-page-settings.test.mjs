// The demo page's settings, as somebody would use them who was sent its address, who has a keyboard only, or whose browser
// cannot do it.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { BROWSERS, openBrowser } from "../harness/browsers.mjs";
import { click, count, kinds, state, text } from "../harness/demo-page.mjs";
import { DemoServer } from "../harness/demo-server.mjs";

const TTL_SECONDS = 8;

for (const name of BROWSERS) {
  describe(`the demo page's settings in ${name}`, () => {
    let server;
    let browser;

    before(async () => {
      server = await DemoServer.start({ ttl: 600, args: ["--faults"] });
      browser = await openBrowser(name);
    });
    after(async () => {
      await browser?.close();
      await server?.stop();
    });

    it("says in a sentence what a browser lacks", async () => {
      const page = await browser.page();
      await page.evaluateOnNewDocument(() => {
        delete globalThis.RTCPeerConnection;
      });
      await page.goto(server.url("/"), { waitUntil: "load" });
      await page.waitForSelector("#notice:not([hidden])");
      assert.equal(
        await text(page, "notice"),
        "This browser cannot make the call: it lacks WebRTC and ICE restarts, or has it switched off. Use a current Chrome, Edge or Firefox.",
      );
      assert.equal(await page.$eval("#start", (button) => button.disabled), true);
      await page.close();
    });

    it("says so when it did not load in full", async () => {
      const page = await browser.page();
      await page.setRequestInterception(true);
      page.on("request", (request) => (request.url().endsWith("/main.js") ? request.abort() : request.continue()));
      await page.goto(server.url("/"), { waitUntil: "load" });
      await page.waitForSelector("#notice:not([hidden])");
      assert.match(await text(page, "notice"), /^This page did not load in full: .* Load it again, in a current Chrome, Edge or Firefox\.$/);
      await page.close();
    });

    it("points to a setting that cannot be", async () => {
      const page = await browser.page(server.url("/"));
      await page.waitForFunction(() => document.querySelector("#ttl").value === "600");
      await page.click("#settings summary");
      await page.$eval("#ttl", (input) => input.select());
      await page.keyboard.type("200000");
      await page.keyboard.press("Tab");
      await click(page, "start");
      assert.equal(await page.evaluate(() => document.activeElement.id), "ttl");
      assert.equal(await state(page, "status"), "idle");
      await page.close();
    });

    it("can be worked with the keyboard alone, and calls on a direct path", async () => {
      const page = await browser.page(server.url("/?relay=off"));
      assert.equal(await page.$eval("#relay-only", (box) => box.checked), false);
      await page.waitForSelector("#start:not([disabled])");
      await page.keyboard.press("Tab");
      assert.equal(await page.evaluate(() => document.activeElement.id), "start");
      await page.keyboard.press("Enter");
      await page.waitForSelector("#hang-up:not([disabled])");
      assert.equal(await page.evaluate(() => document.activeElement.id), "hang-up", "the focus is where the next step is");
      // Each call is asked for its path by itself: the sentence is whole when both have told theirs.
      await page.waitForFunction(() => /direct path.*So is/.test(document.querySelector("#verdict").textContent));
      assert.equal(
        await text(page, "verdict"),
        "The call by turn-wasm is up, on a direct path that needs no relay. So is the call by hand.",
      );
      assert.doesNotMatch(await page.$eval("#ends [data-cell=path]", (cell) => cell.textContent), /relay/);
      await page.keyboard.press("Enter");
      await page.waitForSelector("#status[data-state=ended]");
      assert.match(await text(page, "verdict"), /^Hung up\. The call by turn-wasm outlived 0 credentials;/);
      assert.equal(await page.evaluate(() => document.activeElement.id), "start");
      assert.deepEqual(page.troubles, []);
      await page.close();
    });

    it("takes its settings from its address, and keeps them there", async () => {
      const address = `/?ttl=${TTL_SECONDS}&trickle=off&transports=tcp&restart=always&reconfigure=on`;
      const page = await browser.page(server.url(address));
      await page.waitForFunction((summary) => document.querySelector("#settings-summary").textContent === summary, {},
        `ttl ${TTL_SECONDS} s, no trickle ICE, tcp, relay only, restarts: always`);
      assert.equal(await page.evaluate(() => location.pathname + location.search), address);
      await page.click("#settings summary");
      await page.click("#trickle");
      assert.equal(await page.evaluate(() => location.search), `?ttl=${TTL_SECONDS}&transports=tcp&restart=always&reconfigure=on`);
      await page.click("#trickle");
      assert.equal(await page.evaluate(() => location.pathname + location.search), address);

      await click(page, "start");
      await page.waitForSelector("#status[data-state=connected]");
      await page.waitForSelector("#plain-status[data-state=connected]");
      assert.equal(await page.$eval("#settings-fields", (fields) => fields.disabled), true);
      assert.match(await text(page, "backend-ttl"), /^8 s, from its answer$/);
      const urls = await page.$$eval("#backend-urls li", (items) => items.map((item) => item.textContent.replace(/127\.0\.0\.1:\d+/, "…")));
      assert.ok(urls.includes("turn:…?transport=tcp"), urls.join());
      assert.ok(urls.includes("turn:…?transport=udpleft out: transport"), urls.join());
      for (const id of ["gathering", "plain-gathering"]) {
        await page.waitForFunction((id) => /^\d+ ms, then sent$/.test(document.getElementById(id).textContent), {}, id);
      }
      await page.waitForFunction(() => document.querySelector("#ends [data-cell=path]").textContent === "relay to relay, tcp");
      // And across a restart, whose description waits for its candidates as well.
      await page.waitForFunction(() => Number(document.querySelector("#outlived").dataset.count) >= 1);
      assert.equal(await text(page, "status"), "Connected");

      // Fetching again and setConfiguration is not enough.
      await page.waitForFunction(() => document.querySelector("#log [data-kind=plain-refetched]"));
      await page.waitForSelector("#plain-status:is([data-state=silent], [data-state=interrupted], [data-state=lost])");
      assert.equal(await text(page, "plain-session-status"), "Live");
      assert.equal(await count(page, "plain-outlived"), 0);
      assert.equal(await state(page, "status"), "connected");
      await click(page, "hang-up");
      await page.waitForSelector("#status[data-state=ended]");
      assert.ok((await kinds(page)).includes("restarted"));
      assert.deepEqual(page.troubles.filter((trouble) => !trouble.includes("WebRTC: ICE failed")), []);
      await page.close();
    });
  });
}
