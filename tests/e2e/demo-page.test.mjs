// The demo page, used as a person would: start both calls, watch the one by hand die and the one by turn-wasm outlive its
// credentials, break things, hang up. What is read is what the page says.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { violations } from "../harness/accessibility.mjs";
import { BROWSERS, openBrowser } from "../harness/browsers.mjs";
import { click, count, kinds, state, text } from "../harness/demo-page.mjs";
import { DemoServer } from "../harness/demo-server.mjs";

const TTL_SECONDS = 12;

/** With TURN_WASM_WRITE_DOCS=1 the pictures in docs/ are taken anew. */
const WRITES = process.env.TURN_WASM_WRITE_DOCS === "1";
const DOCS = fileURLToPath(new URL("../../docs/", import.meta.url));

const history = (page) => page.$$eval("#log li", (lines) => lines.map((line) => line.innerText.replace("\n", " ")).join("\n"));

/** Presses a button of the faults, and waits until the page says these words for it. */
async function press(page, id, words) {
  await click(page, id);
  await page.waitForFunction((words) => document.querySelector("#fault-status").textContent.includes(words), {}, words);
  await page.waitForSelector(`#${id}:not([disabled])`);
}

const pressed = (page, id) => page.$eval(`#${id}`, (button) => button.getAttribute("aria-pressed"));

/** What the page says about the next try, once that is of this kind. */
async function nextTry(page, kind) {
  const found = await page.waitForFunction((kind) => {
    const line = document.querySelector("#next-try");
    return line.dataset.state === kind && line.textContent;
  }, {}, kind);
  return found.jsonValue();
}

/** Collects what live regions say from now on in `announcements` on the page. */
function listenToAnnouncements(page) {
  return page.evaluate(() => {
    globalThis.announcements = [];
    const observer = new MutationObserver((records) => {
      for (const region of new Set(records.map(({ target }) => (target.closest ? target : target.parentElement).closest("[role]")))) {
        globalThis.announcements.push(region.textContent);
      }
    });
    for (const region of document.querySelectorAll("[role=status], [role=alert], [aria-live]")) {
      observer.observe(region, { childList: true, characterData: true, subtree: true });
    }
  });
}

/** Waits until what was sent up to now has come through, and all is well with the call by turn-wasm. */
async function comesThrough(page) {
  const sent = await count(page, "sent");
  await page.waitForFunction(
    (sent) => Number(document.querySelector("#received-count").textContent.replaceAll(",", "")) > sent, {}, sent);
  await settled(page);
}

/** Waits until all is well, both ends are on the newest credential and none is near: one fault at a time. */
async function settled(page) {
  await page.waitForSelector("#status[data-state=connected]");
  await page.waitForFunction(() => {
    const restart = document.querySelector("#log :is([data-kind=restarting], [data-kind=restarted])");
    const newest = document.querySelector("#username").textContent;
    const moved = [...document.querySelectorAll("#ends [data-cell=username]")].every((cell) => cell.textContent === newest);
    const due = /^All is well\. The next refresh is due in (\d+) s\.$/.exec(document.querySelector("#next-try").textContent);
    return restart.dataset.kind === "restarted" && moved && due && due[1] >= 3;
  });
}

for (const name of BROWSERS) {
  describe(`the demo page in ${name}`, () => {
    let server;
    let browser;
    let page;
    const requests = [];

    before(async () => {
      server = await DemoServer.start({ ttl: TTL_SECONDS, args: ["--faults"] });
      browser = await openBrowser(name);
      page = await browser.page();
      page.on("request", (request) => requests.push(request.url()));
      await page.goto(server.url("/"), { waitUntil: "load" });
    });
    after(async () => {
      await browser?.close();
      await server?.stop();
    });

    it("offers nothing to press before its scripts are there", async () => {
      const markup = await (await fetch(server.url("/"))).text();
      const buttons = markup.match(/<button[^>]*>/g);
      assert.ok(buttons.length > 10);
      assert.deepEqual(buttons.filter((button) => !/ disabled[ >]/.test(button)), []);
    });

    it("can be used by everybody before a call", async () => {
      await page.waitForSelector("#start:not([disabled])");
      await page.click("#settings summary");
      assert.deepEqual(await violations(page), []);
      await page.click("#settings summary");
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
      await listenToAnnouncements(page);
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

    it("has told a screen reader what changed, and nothing else", async () => {
      const told = await page.evaluate(() => globalThis.announcements);
      assert.ok(told.length >= 3 && told.length <= 9, told.join("\n"));
      assert.ok(told.every((words, index) => words !== told[index - 1]), `nothing is said twice in a row:\n${told.join("\n")}`);
    });

    it("can be used by everybody during a call, in light and dark, on a phone and on a wide screen", async () => {
      for (const width of [360, 1240, 1900]) {
        await page.setViewport({ width, height: 900 });
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `something stands out at the side of ${width} px`);
        const button = await page.$eval("#hang-up", (element) => element.getBoundingClientRect().bottom);
        assert.ok(button < 900, "the buttons are seen without scrolling");
      }
      // Only Chromium lets a test choose.
      for (const value of name === "chromium" ? ["dark", "light"] : ["light"]) {
        if (name === "chromium") await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value }]);
        assert.deepEqual(await violations(page), [], value);
      }
    });

    it("plots both calls and marks what happened to them", async () => {
      // Nothing may have come through in the very last second.
      await page.waitForFunction(() => /^[\d.]+ ms$/.test(document.querySelector("[data-plot=roundTrip] [data-value=sdk]").textContent));
      const values = await page.$$eval("[data-plot]", (plots) => plots.map((plot) => [
        plot.querySelector("canvas").width > 0, plot.querySelector("[data-value=sdk]").textContent, plot.querySelector("[data-value=plain]").textContent,
        plot.querySelector(".plot").ariaLabel,
      ]));
      const [roundTrip, bitrate, gap] = values;
      assert.deepEqual(values.map(([drawn]) => drawn), [true, true, true]);
      assert.equal(roundTrip[2], "–");
      assert.match(bitrate[1], /^[\d,]+ kbit\/s$/);
      assert.equal(bitrate[2], "0 kbit/s");
      const ms = (words) => Number(words.replaceAll(/[^\d]/g, ""));
      assert.ok(ms(gap[1]) < 5_000 && ms(gap[2]) > 10_000, `${gap[1]}, ${gap[2]}`);
      assert.match(gap[3], /^Longest gap over time\. Now, by turn-wasm: [\d,]+ ms; by hand: [\d,]+ ms\.$/);
    });

    if (WRITES && name === "chromium") {
      it("has its picture taken", async () => {
        for (const [file, scheme, width, height, deviceScaleFactor] of [
          ["demo-light", "light", 1240, 1190, 1.25], ["demo-dark", "dark", 1240, 1190, 1.25], ["demo-phone", "light", 390, 844, 2],
        ]) {
          await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
          await page.setViewport({ width, height, deviceScaleFactor });
          await page.evaluate(() => scrollTo(0, 0));
          await page.screenshot({ path: `${DOCS}${file}.webp`, type: "webp", quality: 72 });
        }
        await page.setViewport({ width: 1240, height: 900 });
      });
    }

    it("filters the log and copies what it shows", async () => {
      await page.select("#log-filter", "plain");
      const shown = await page.$$eval("#log li", (lines) => lines.filter((line) => line.checkVisibility()).map((line) => line.dataset.kind));
      assert.ok(shown.length >= 3 && shown.every((kind) => kind.startsWith("plain-")), shown.join());
      await page.evaluate(() => {
        navigator.clipboard.writeText = async (text) => (globalThis.copied = text);
      });
      await click(page, "log-copy");
      await page.waitForFunction(() => document.querySelector("#log-copy").textContent === "Copied");
      const copied = (await page.evaluate(() => globalThis.copied)).split("\n");
      assert.equal(copied.length, shown.length);
      assert.match(copied.at(-1), /^\d{4}-\d\d-\d\dT[\d:.]+Z By hand: the call is lost\. It had lasted for 1\d s\.$/);
      await page.select("#log-filter", "all");
    });

    it("asks a dead backend again, counts down to it, and is well once the backend is", async () => {
      await press(page, "fault-off", "The backend answers every request with 503.");
      const next = await nextTry(page, "retrying");
      assert.match(next, /^\d+ requests? failed; turn-wasm asks again in \d+ s\. The credential in hand lives for another \d+ s\.$/);
      assert.equal(await pressed(page, "fault-off"), "true");
      assert.ok((await kinds(page)).includes("refresherror"));
      await press(page, "fault-off", "The backend answers again as it should.");
      assert.equal(await pressed(page, "fault-off"), "false");
      assert.match(await nextTry(page, "well"), /^All is well\. The next refresh is due in \d+ s\.$/);
      await settled(page);
    });

    it("waits as long as a busy backend says", async () => {
      await press(page, "fault-busy", "The backend answers every request with 429 and “Retry-After: 5”.");
      const next = await nextTry(page, "retrying");
      const [, seconds] = /asks again in (\d+) s/.exec(next);
      // As the second in which it is read may have begun.
      assert.ok(seconds >= 4, next);
      await page.waitForSelector('#backend-status[data-status="429"]');
      await press(page, "fault-busy", "The backend answers again as it should.");
      await settled(page);
    });

    it("waits for a slow backend", async () => {
      await press(page, "fault-slow", "The backend takes 4 s for each answer.");
      assert.match(await nextTry(page, "refreshing"), /^turn-wasm is waiting for the backend's answer\./);
      await nextTry(page, "well");
      await press(page, "fault-slow", "The backend answers again as it should.");
      await settled(page);
      assert.equal(await text(page, "status"), "Connected");
    });

    it("lives on when the provider revokes the credential under it", async () => {
      await press(page, "revoke", "was revoked at the provider. Nobody was told");
      const [, username] = /^Credential (\S+) was/.exec(await text(page, "fault-status"));
      const outlived = `Credential ${username} was revoked, and the call goes on.`;
      await page.waitForFunction((words) => document.querySelector("#log").textContent.includes(words), {}, outlived);
      // The browser needs seconds to notice that the old relay is gone; what was sent meanwhile arrives after the repair.
      await comesThrough(page);
      assert.ok(!(await kinds(page)).includes("connectionlost"), `built anew instead of repaired; the page's log:\n${await history(page)}`);
    });

    it("gets new relays when the TURN server has lost them all", async () => {
      await press(page, "fault-turn", "The TURN server was restarted: all relays are gone.");
      await comesThrough(page);
    });

    it("waits for the network when it is gone, and goes on when it is back", async () => {
      await press(page, "fault-offline", "The network is gone for 10 s.");
      assert.match(await nextTry(page, "offline"), /^Offline for another \d+ s\. turn-wasm waits for the network\./);
      assert.equal(await pressed(page, "fault-offline"), "true");
      await page.waitForFunction(() => document.querySelector("#silence").textContent.endsWith("ago"));
      await press(page, "fault-offline", "The network is back.");
      await comesThrough(page);
    });

    it("hangs up with nothing lost and its credentials revoked", async (t) => {
      await click(page, "hang-up");
      await page.waitForSelector("#status[data-state=ended]");
      const [sent, received, lost] = await Promise.all(["sent", "received-count", "lost"].map((id) => count(page, id)));
      t.diagnostic(`${name}: ${sent} messages, ${lost} lost, largest gap ${await text(page, "largest-gap")}${(await kinds(page)).includes("connectionlost") ? ", built anew" : ""}`);
      assert.ok(sent > 500, `${sent} messages`);
      // Firefox cannot repair each and every call over which the TURN server fell silent; then the page says so and builds another.
      const rebuilt = (await kinds(page)).includes("connectionlost");
      if (!rebuilt) assert.deepEqual({ received, lost }, { received: sent, lost: 0 }, `the page's log:\n${await history(page)}`);
      assert.equal(await text(page, "session-status"), "Given back");
      await page.waitForFunction(() => document.querySelector("#allocations-summary").textContent === "No relay is in use.");
      assert.match(server.log, /credential revoked/);
      assert.match(await text(page, "verdict"), /^Hung up\. The call by turn-wasm outlived \d+ credentials; .* got lost\. The call by hand had been lost before\.$/);
    });

    it("can start anew", async () => {
      await click(page, "start");
      await page.waitForSelector("#hang-up:not([disabled])");
      assert.equal(await text(page, "outlived"), "0");
      await click(page, "hang-up");
      await page.waitForSelector("#status[data-state=ended]");
    });

    it("asks nobody but its own server", () => {
      assert.ok(requests.length > 20);
      assert.deepEqual(requests.filter((url) => !url.startsWith(server.origin) && !/^(data|blob):/.test(url)), []);
    });

    it("leaves nothing in the browser's console", () => {
      // Firefox says of each end that is lost what the page says, Chromium what it was answered.
      const expected = [/WebRTC: ICE failed, see about:webrtc/, /the server responded with a status of (503|429)/];
      const own = page.troubles.filter((trouble) => !expected.some((words) => words.test(trouble)));
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
