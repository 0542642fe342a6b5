// Each provider's response through a session in real browsers: what is handed out is what the fixture expects, and the
// browser takes all of it. tests/responses.rs holds the core alone to the same fixtures.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { BROWSERS } from "../harness/browsers.mjs";
import { Stage } from "../harness/stage.mjs";

const FOLDER = new URL("../fixtures/responses/", import.meta.url);
const FIXTURES = await Promise.all(
  (await readdir(FOLDER)).map(async (file) => ({ file, ...JSON.parse(await readFile(new URL(file, FOLDER), "utf8")) })),
);

// Runs in the page: what a session hands out of each response.
async function handedOut(responses) {
  const { openTurnSession } = await import("/pkg/index.js");
  return Promise.all(
    responses.map(async (response) => {
      const warnings = [];
      // The lifetimes in the fixtures are over: the option's takes their place, unless the response has a ttl.
      const session = await openTurnSession({ source: async () => response, ttl: 1234 });
      session.addEventListener("warning", ({ detail }) => warnings.push(detail.message));
      const { iceServers, state } = session;
      const connections = [new RTCPeerConnection({ iceServers }), session.createPeerConnection(), new RTCPeerConnection()];
      session.attach(connections[2]);
      const applied = connections.map((pc) => pc.getConfiguration().iceServers);
      for (const pc of connections) pc.close();
      // Events wait for the next task.
      await new Promise((resolve) => setTimeout(resolve));
      await session.close();
      return { iceServers, applied, state, warnings };
    }),
  );
}

for (const name of BROWSERS) {
  describe(`providers' responses in ${name}`, () => {
    let stage;

    before(async () => {
      stage = await Stage.open(name, { turn: false });
    });
    after(async () => {
      await stage?.close();
    });

    it("each is handed out as expected, and the browser takes it", async () => {
      const results = await stage.run(handedOut, FIXTURES.map(({ response }) => response), {
        // Firefox, from the fifth URL on.
        expected: [/Using five or more STUN\/TURN servers slows down discovery/],
      });
      for (const [index, { file, servers, lifetime, dropped = [] }] of FIXTURES.entries()) {
        const { iceServers, applied, state, warnings } = results[index];
        assert.deepEqual(iceServers, servers, file);
        const urls = servers.flatMap((server) => server.urls);
        for (const list of applied) assert.deepEqual(list.flatMap((server) => server.urls), urls, file);
        assert.equal(state.ttl, lifetime?.ttl ?? 1234, file);
        assert.equal(state.ttlSource, lifetime?.ttl ? "response" : "option", file);
        assert.deepEqual(state.dropped, dropped.map((url) => ({ url, reason: "invalid" })), file);
        assert.equal(warnings.length, dropped.length ? 1 : 0, file);
        assert.ok(!JSON.stringify([state, warnings]).includes("replaced-secret"), file);
      }
    });

    it("the warning of a URL that is left out names its path and what came", async () => {
      const { response } = FIXTURES.find(({ file }) => file === "with-faults.json");
      const [{ warnings }] = await stage.run(handedOut, [response], { expected: [/Using five or more/] });
      assert.deepEqual(warnings, [
        'left out of the response: iceServers[0].urls[2]: expected neither stuns: nor a port that browsers block, got "stuns:turn.example.org"',
      ]);
    });

    it("the Link headers of a WHIP endpoint are a source", async () => {
      stage.site.on("/whip", (request, response) => {
        response.setHeader("link", [
          '<stun:stun.example.net>; rel="ice-server"',
          '<turn:turn.example.net?transport=udp>; rel="ice-server"; username="a,b"; credential="c\\"d"; credential-type="password"',
        ]);
        response.writeHead(request.method === "PATCH" ? 204 : 500).end();
      });
      const { iceServers, urls } = await stage.run(async () => {
        const { iceServersFromLink, openTurnSession } = await import("/pkg/index.js");
        const source = async ({ signal }) => {
          const response = await fetch("/whip", { method: "PATCH", signal });
          return iceServersFromLink(response.headers.get("link"));
        };
        const session = await openTurnSession({ source, ttl: 600 });
        const pc = session.createPeerConnection();
        const urls = pc.getConfiguration().iceServers.flatMap((server) => server.urls);
        pc.close();
        const { iceServers } = session;
        await session.close();
        return { iceServers, urls };
      });
      assert.deepEqual(iceServers, [
        { urls: ["stun:stun.example.net"] },
        { urls: ["turn:turn.example.net?transport=udp"], username: "a,b", credential: 'c"d' },
      ]);
      assert.deepEqual(urls, ["stun:stun.example.net", "turn:turn.example.net?transport=udp"]);
    });

    it("Firefox warns from the fifth URL on, Chromium does not", async () => {
      const page = await stage.browser.page(stage.site.page);
      try {
        const connect = (count) => page.evaluate((count) => {
          new RTCPeerConnection({ iceServers: [{ urls: Array.from({ length: count }, (_, index) => `stun:host-${index}`) }] }).close();
          console.error(`${count} URLs`);
        }, count);
        for (const count of [4, 5]) {
          await connect(count);
          const deadline = Date.now() + 10_000;
          const said = () => page.troubles.some((trouble) => trouble.includes(`${count} URLs`));
          const warned = () => page.troubles.some((trouble) => /five or more STUN\/TURN servers/.test(trouble));
          const expected = name === "firefox" && count > 4;
          while (!(said() && (warned() || !expected)) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
          assert.ok(said());
          assert.equal(warned(), expected, `${count} URLs`);
        }
      } finally {
        await page.close();
      }
    });

    it("a moment is read in each spelling", async () => {
      const moment = Date.UTC(new Date().getUTCFullYear() + 1, 0, 2, 3, 4, 5);
      const iso = new Date(moment).toISOString();
      const date = iso.slice(0, 10);
      const good = [
        moment,
        moment / 1000,
        String(moment / 1000),
        iso,
        `${date}T03:04:05Z`,
        `${date}T03:04:05.0004584+00:00`,
        `${date}T05:34:05+02:30`,
        `${date} 03:04:05Z`,
      ];
      const bad = ["soon", date, `${date}T03:04:05`, `${date}T25:04:05Z`, "2023-02-30", "02 Jan 2030 03:04:05 GMT", "", [], {}, true, -1, 0];
      const { read, refused } = await stage.run(
        async ({ good, bad }) => {
          const { openTurnSession } = await import("/pkg/index.js");
          const open = (expiresAt) =>
            openTurnSession({ source: async () => ({ iceServers: [{ urls: "turn:a", username: "u", credential: "c" }], expiresAt }) });
          const read = [];
          for (const value of good) {
            const session = await open(value);
            read.push([session.state.expiresAt - Date.now(), session.state.ttlSource]);
            await session.close();
          }
          const refused = await Promise.all(bad.map((value) => open(value).then(() => "opened", (error) => `${error.code}: ${error.message}`)));
          return { read, refused };
        },
        { good, bad },
      );
      // What lies further ahead than 48 h is cut there.
      for (const [index, [left, source]] of read.entries()) {
        assert.ok(Math.abs(left - 48 * 3_600_000) < 5000, `${good[index]}: ${left} ms left`);
        assert.equal(source, "response");
      }
      for (const [index, message] of refused.entries()) {
        assert.match(message, /^response-invalid: expiresAt: expected an RFC 3339 date and time/, JSON.stringify(bad[index]));
      }
    });

    it("a moment within 48 h is read to the millisecond", async () => {
      const { moment, read } = await stage.run(async () => {
        const { openTurnSession } = await import("/pkg/index.js");
        const moment = Date.now() + 3_600_123;
        const expiresOn = new Date(moment).toISOString();
        const session = await openTurnSession({ source: async () => ({ expiresOn, iceServers: [{ urls: "turn:a", username: "u", credential: "c" }] }) });
        const read = session.state.expiresAt;
        await session.close();
        return { moment, read };
      });
      assert.ok(Math.abs(read - moment) <= 50, `${read - moment} ms off`);
    });

    it("a response that comes with a fault again warns again, and serves", async () => {
      const warnings = await stage.run(async () => {
        const { openTurnSession } = await import("/pkg/index.js");
        let serial = 0;
        const source = async () => ({ iceServers: [{ urls: ["turn:a", "turn:b:99999"], username: `u${++serial}`, credential: "c" }], ttl: 600 });
        const session = await openTurnSession({ source });
        const warnings = [];
        session.addEventListener("warning", ({ detail }) => warnings.push(detail.message));
        await session.refresh();
        await new Promise((resolve) => setTimeout(resolve));
        await session.close();
        return warnings;
      });
      assert.deepEqual(warnings, Array(2).fill('left out of the response: iceServers[0].urls[1]: expected a port from 1 to 65535, got "turn:b:99999"'));
    });
  });
}
