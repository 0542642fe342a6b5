// The demo page, used as a person would: start both calls, watch the one by hand die and the one by turn-wasm outlive its
// credentials, hang up. What is read is what the page says.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { BROWSERS, openBrowser } from "../harness/browsers.mjs";
import { DemoServer } from "../harness/demo-server.mjs";

const TTL_SECONDS = 12;

const text = (page, id) => page.$eval(`#${id}`, (element) => element.textContent.trim());
const state = (page, id) => page.$eval(`#${id}`, (element) => element.dataset.state);
const count = async (page, id) => Number((await text(page, id)).replaceAll(",", ""));
const kinds = (page) => page.$$eval("#log li", (lines) => lines.map((line) => line.dataset.kind));

/** Clicks as soon as the page lets it. */
async function click(page, id) {
  await page.waitForSelector(`#${id}:not([disabled])`);
  await page.click(`#${id}`);
}

for (const name of BROWSERS) {
  describe(`the demo page in ${name}`, () => {
    let server;
    let browser;
    let page;

    before(async () => {
      server = await DemoServer.start({ ttl: TTL_SECONDS });
      browser = await openBrowser(name);
      page = await browser.page(server.url("/"));
    });
    after(async () => {
      await browser?.close();
      await server?.stop();
    });

    it("shows which servers answer", async () => {
      await click(page, "probe");
      await page.waitForSelector("#probe:not([disabled])");
      assert.equal(await text(page, "probe-summary"), "3 of 3 servers answer.");
      const rows = await page.$$eval("#probe-results tbody tr", (lines) => lines.map((line) => [...line.cells].map((cell) => cell.textContent)));
      const schemes = rows.map(([url]) => url.replace(/127\.0\.0\.1:\d+/, "…"));
      assert.deepEqual(schemes, ["stun:…", "turn:…?transport=udp", "turn:…?transport=tcp"]);
      assert.match(rows[0][1], /^This device's/);
      for (const [, gives] of rows.slice(1)) assert.equal(gives, "A relay");
      for (const [, , after] of rows) assert.match(after, /^\d+ ms$/);
      // The credentials were fetched for that alone, and given back.
      assert.match(server.log, /credential revoked/);
    });

    it("starts both calls through the relay at one click", async () => {
      await click(page, "start");
      await page.waitForSelector("#status[data-state=connected]");
      await page.waitForSelector("#plain-status[data-state=connected]");
      assert.match(await text(page, "plain-username"), /^[0-9a-f]{8}…$/);
      await page.waitForFunction(() => document.querySelector("#log [data-kind=connected]"));
      await page.waitForFunction(() =>
        [...document.querySelectorAll("#ends [data-cell=path]")].every((cell) => cell.textContent.startsWith("relay to relay")),
      );
    });

    it("says what the backend answered, without the credential", async () => {
      await page.waitForSelector('#backend-status[data-status="201"]');
      assert.match(await text(page, "backend-ttl"), /^12 s, from its answer$/);
      assert.match(await text(page, "backend-urls"), /turn:127\.0\.0\.1:\d+\?transport=udp/);
      assert.match(await text(page, "username"), /^[0-9a-f]{8}…$/);
      assert.doesNotMatch(await page.$eval("body", (body) => body.innerText), /[0-9a-f]{9}/);
    });

    it("outlives a credential and says so", async () => {
      await page.waitForFunction(() => Number(document.querySelector("#outlived").dataset.count) >= 1, {
        timeout: 3 * TTL_SECONDS * 1000,
      });
      const happened = await kinds(page);
      for (const kind of ["outlived", "restarted", "restarting", "refreshed"]) {
        assert.ok(happened.includes(kind), `the log tells of ${happened.join(", ")}, not of ${kind}`);
      }
      assert.equal(await text(page, "status"), "Connected");
    });

    it("shows moving video and a time left that counts down", async () => {
      const frames = await count(page, "frames");
      assert.ok(frames > 0);
      await page.waitForFunction((before) => Number(document.querySelector("#frames").textContent.replaceAll(",", "")) > before, {}, frames);
      const left = Number(await page.$eval("#time-left", (element) => element.dataset.seconds));
      assert.ok(left > 0 && left <= TTL_SECONDS, `${left} s left`);
    });

    it("shows the call by hand go silent at the end of its credential, and die, while the other one lives", async () => {
      await page.waitForSelector("#plain-status:is([data-state=silent], [data-state=interrupted], [data-state=lost])", {
        timeout: 2 * TTL_SECONDS * 1000,
      });
      assert.equal(await text(page, "plain-session-status"), "Expired");
      await page.waitForSelector("#plain-status[data-state=lost]", { timeout: 60_000 });
      assert.equal(await text(page, "plain-status"), "Lost");
      assert.match(await text(page, "plain-epitaph"), /^Lost\. Nothing has come through since [\d:]+, 1\d s after the start\.$/);
      assert.match(await text(page, "plain-silence"), /^\d+ s ago$/);
      assert.equal(await count(page, "plain-outlived"), 0);
      const [received, frames] = await Promise.all([count(page, "plain-received-count"), count(page, "plain-frames")]);
      assert.ok(received > 0 && frames > 0, `${received} messages and ${frames} frames came through before`);

      assert.equal(await state(page, "status"), "connected");
      assert.equal(await text(page, "silence"), "just now");
      assert.equal(
        await text(page, "verdict"),
        "The call by turn-wasm goes on, on fresh credentials. The call by hand is lost: its credential ended, and its relays with it.",
      );
      const before = await count(page, "frames");
      await page.waitForFunction((before) => Number(document.querySelector("#frames").textContent.replaceAll(",", "")) > before, {}, before);
      assert.deepEqual(await Promise.all([count(page, "plain-received-count"), count(page, "plain-frames")]), [received, frames]);
    });

    it("lives on when the provider revokes the credential under it", async () => {
      const outlived = await count(page, "outlived");
      await click(page, "revoke");
      await page.waitForFunction(() => document.querySelector("#log [data-kind=revoked]"));
      await page.waitForFunction((before) => Number(document.querySelector("#outlived").dataset.count) > before, {}, outlived);
      // The browser needs seconds to notice that the old relay is gone; what was sent meanwhile arrives after the repair.
      const sent = await count(page, "sent");
      await page.waitForFunction(
        (sent) => Number(document.querySelector("#received-count").textContent.replaceAll(",", "")) > sent, {}, sent);
      await page.waitForSelector("#status[data-state=connected]");
    });

    it("hangs up with nothing lost and its credentials revoked", async (t) => {
      await click(page, "hang-up");
      await page.waitForSelector("#status[data-state=ended]");
      const [sent, received, lost] = await Promise.all(["sent", "received-count", "lost"].map((id) => count(page, id)));
      t.diagnostic(`${name}: ${sent} messages, ${lost} lost, largest gap ${await text(page, "largest-gap")}`);
      assert.ok(sent > 500, `${sent} messages`);
      assert.deepEqual({ received, lost }, { received: sent, lost: 0 });
      assert.equal(await text(page, "session-status"), "Given back");
      await page.waitForFunction(() => document.querySelector("#allocations-summary").textContent === "No relay is in use.");
      assert.match(server.log, /credential revoked/);
      assert.match(await text(page, "verdict"), /^Hung up\. The call by turn-wasm outlived \d+ credentials; .* and 0 got lost\. The call by hand had been lost before\.$/);
    });

    it("can start anew", async () => {
      await click(page, "start");
      await page.waitForSelector("#hang-up:not([disabled])");
      assert.equal(await text(page, "outlived"), "0");
      await click(page, "hang-up");
      await page.waitForSelector("#status[data-state=ended]");
    });

    it("leaves nothing in the browser's console", () => {
      // Firefox says of each end that is lost what the page says.
      const own = page.troubles.filter((trouble) => !trouble.includes("WebRTC: ICE failed, see about:webrtc"));
      assert.deepEqual(own, []);
    });

    it("says what to do when the backend is gone", async () => {
      await server.stop();
      await click(page, "start");
      await page.waitForSelector("#notice:not([hidden])");
      assert.match(await text(page, "notice"), /^The backend does not answer\. Check that the demo server is still running/);
      await page.waitForSelector("#start:not([disabled])");
    });
  });
}
