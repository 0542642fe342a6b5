// What RTCPeerConnection makes of each URI in the table that the core's parser is tested with, in real browsers.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { BROWSERS, openBrowser } from "../harness/browsers.mjs";

const TABLE = JSON.parse(await readFile(new URL("../fixtures/uris.json", import.meta.url), "utf8"));
const CASES = Object.values(TABLE).flat();

// Runs in the page: whether each URI is accepted, alone in a configuration.
const tried = (uris) =>
  uris.map((uri) => {
    const pc = new RTCPeerConnection();
    try {
      pc.setConfiguration({ iceServers: [{ urls: uri, username: "u", credential: "c" }] });
      return "accepted";
    } catch (error) {
      return error.name;
    } finally {
      pc.close();
    }
  });

for (const name of BROWSERS) {
  describe(`STUN and TURN URIs in ${name}`, () => {
    let browser;
    let verdicts;

    before(async () => {
      browser = await openBrowser(name);
      const page = await browser.page();
      verdicts = await page.evaluate(tried, CASES.map(({ uri }) => uri));
    });
    after(async () => {
      await browser?.close();
    });

    for (const [group, cases] of Object.entries(TABLE)) {
      it(`the table says what the browser accepts: ${group}`, () => {
        for (const expected of cases) {
          const verdict = verdicts[CASES.indexOf(expected)];
          assert.equal(verdict === "accepted", expected[name], `${JSON.stringify(expected.uri)}: ${verdict}`);
        }
      });
    }

    it("what is handed out in place of a URI is accepted as well", async () => {
      const printed = CASES.filter((expected) => expected.printed);
      assert.ok(printed.length > 0);
      const page = await browser.page();
      const again = await page.evaluate(tried, printed.map(({ printed }) => printed));
      for (const [index, { printed: text }] of printed.entries()) assert.equal(again[index], "accepted", text);
    });
  });
}
