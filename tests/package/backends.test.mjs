// The README's backends for Node and Cloudflare Workers, as they are printed there: against the emulator of Cloudflare's
// TURN API, and against providers that fail. The one in Rust is tested the same way by www/server/tests/readme.rs.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, describe, it } from "node:test";
import { Emulator } from "../harness/emulator.mjs";
import { README_BACKENDS } from "../harness/readme-backend.mjs";

const MINT = "/api/turn-credentials";
const REVOKE = "/api/turn-credentials/revoke";
const TTL = 86400;
const TOKEN = "the-api-token";
const UPSTREAM_TEXT = "what the provider wrote";

const username = ({ text }) => JSON.parse(text).iceServers.find((server) => server.username).username;

/** A provider that gives credentials as Cloudflare does, until `fail` says how it fails. */
class Provider {
  asked = 0;
  fail = null;

  static async start() {
    const provider = new Provider();
    provider.server = createServer((request, response) => {
      provider.asked += 1;
      if (provider.fail) {
        provider.fail(response);
        return;
      }
      response.writeHead(201, { "content-type": "application/json" });
      response.end(JSON.stringify({ iceServers: [{ urls: "turn:127.0.0.1", username: "u", credential: "c" }] }));
    });
    await new Promise((resolve) => provider.server.listen(0, "127.0.0.1", resolve));
    provider.base = `http://127.0.0.1:${provider.server.address().port}`;
    return provider;
  }

  async stop() {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    await closed;
  }
}

const status = (code) => (response) => response.writeHead(code, { "content-type": "text/plain" }).end(UPSTREAM_TEXT);
const body = (text) => (response) => response.writeHead(201, { "content-type": "application/json" }).end(text);
const WITH_ANY_REQUEST = {
  "400": status(400),
  "401": status(401),
  "429": status(429),
  "500": status(500),
  "a broken connection": (response) => response.destroy(),
  "silence": () => {},
};
const WITH_A_MINT = {
  "text": body(UPSTREAM_TEXT),
  "nothing": body(""),
  "null": body("null"),
  "an error in a good answer": body(JSON.stringify({ errors: [UPSTREAM_TEXT] })),
  "half an answer": (response) => response.writeHead(201).write('{"iceServers":', () => response.destroy()),
};

for (const [heading, Backend] of Object.entries(README_BACKENDS)) {
  describe(`the README's backend for ${heading}`, () => {
    describe("with the emulator of Cloudflare's API", () => {
      let emulator;
      let backend;
      const seen = [];
      const ask = async (path, options) => {
        const answer = await backend.ask(path, options);
        seen.push(JSON.stringify(answer));
        return answer;
      };

      before(async () => {
        emulator = await Emulator.start();
        backend = await Backend.start(emulator.environment);
      });
      after(async () => {
        await backend?.stop();
        await emulator?.stop();
      });

      it("gives a user a credential, with its lifetime, for no cache to keep", async () => {
        const answer = await ask(MINT, { user: "ann" });
        assert.equal(answer.status, 201, answer.text);
        assert.equal(answer.headers["cache-control"], "no-store");
        const { iceServers, ttl, ...rest } = JSON.parse(answer.text);
        assert.deepEqual([ttl, rest], [TTL, {}]);
        const { urls, credential } = iceServers.find((server) => server.username);
        assert.match(urls[0], /^turn:127\.0\.0\.1:\d+\?transport=udp$/);
        assert.match(credential, /^[0-9a-f]{96}$/);
        await emulator.told("credential minted", username(answer));
      });

      it("gives nothing to whom it does not know", async () => {
        const own = username(await ask(MINT, { user: "ann" }));
        const answers = [await ask(MINT, {}), await ask(REVOKE, { body: { username: own } })];
        assert.deepEqual(answers.map(({ status, text }) => [status, text]), [[401, ""], [401, ""]]);
      });

      it("revokes a user's own username and no other", async () => {
        const own = username(await ask(MINT, { user: "ann" }));
        for (const [user, body] of [
          ["bob", { username: own }],
          ["ann", { username: "invented" }],
          ["ann", { username: "../../x" }],
          ["ann", { username: null }],
          ["ann", {}],
          ["ann", null],
          ["ann", [own]],
        ]) {
          assert.equal((await ask(REVOKE, { user, body })).status, 403, `${user} ${JSON.stringify(body)}`);
        }
        assert.equal((await ask(REVOKE, { user: "ann", text: "{" })).status, 403);
        assert.equal((await ask(REVOKE, { user: "ann", body: { username: own } })).status, 204);
        await emulator.told("credential revoked", own);
      });

      it("has nothing at other addresses and for other methods", async () => {
        assert.equal((await ask("/api/other", { user: "ann" })).status, 404);
        assert.equal((await ask(MINT, { user: "ann", method: "GET" })).status, 405);
      });

      it("shows the API token nowhere", () => {
        assert.ok(seen.length >= 10);
        for (const text of [...seen, backend.log]) assert.ok(!text.includes(emulator.environment.TURN_KEY_API_TOKEN), text);
      });
    });

    describe("with a provider that fails", () => {
      let provider;
      let backend;
      const expectFailure = ({ status, headers, text }) => {
        assert.ok(status === 502 || status === 503, `${status} ${text}`);
        assert.deepEqual([text, headers["cache-control"]], ["", "no-store"]);
        assert.ok(!JSON.stringify(headers).includes(UPSTREAM_TEXT) && !JSON.stringify(headers).includes(TOKEN));
      };

      before(async () => {
        provider = await Provider.start();
        backend = await Backend.start({ TURN_API_BASE: provider.base, TURN_KEY_ID: "key", TURN_KEY_API_TOKEN: TOKEN });
        assert.equal((await backend.ask(MINT, { user: "ann" })).status, 201);
      });
      after(async () => {
        await backend?.stop();
        await provider?.stop();
      });

      for (const [what, fail] of Object.entries({ ...WITH_ANY_REQUEST, ...WITH_A_MINT })) {
        it(`answers ${what} with a status alone`, async () => {
          provider.fail = fail;
          const requests = [backend.ask(MINT, { user: "ann" })];
          if (what in WITH_ANY_REQUEST) requests.push(backend.ask(REVOKE, { user: "ann", body: { username: "u" } }));
          for (const answer of await Promise.all(requests)) expectFailure(answer);
        });
      }

      it("answers a username that the provider has forgotten as revoked", async () => {
        provider.fail = status(404);
        assert.equal((await backend.ask(REVOKE, { user: "ann", body: { username: "u" } })).status, 204);
      });

      it("asks the provider nothing for a foreign username", async () => {
        const { asked } = provider;
        assert.equal((await backend.ask(REVOKE, { user: "bob", body: { username: "u" } })).status, 403);
        assert.equal((await backend.ask(REVOKE, { body: { username: "u" } })).status, 401);
        assert.equal(provider.asked, asked);
      });

      it("answers a provider that is gone with a status alone, and prints neither its token nor the provider's text", async () => {
        await provider.stop();
        expectFailure(await backend.ask(MINT, { user: "ann" }));
        for (const hidden of [TOKEN, UPSTREAM_TEXT]) assert.ok(!backend.log.includes(hidden), backend.log);
      });
    });
  });
}
