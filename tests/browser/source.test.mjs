// Where credentials come from: requests as the backend sees them, provider functions, options that are wrong, and which
// URLs of the answer connections get.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { BROWSERS } from "../harness/browsers.mjs";
import { Stage } from "../harness/stage.mjs";

/** Opens sessions with `cases` (`{options}`, or `{expression}` for what JSON cannot say); resolves with what came of each. */
async function openEach(cases) {
  const { openTurnSession, TurnError } = await import("/pkg/index.js");
  const results = [];
  for (const { options, expression } of cases) {
    const given = expression ? new Function(`return (${expression})`)() : options;
    try {
      const session = await openTurnSession(given);
      results.push({ opened: true, urls: session.state.urls, dropped: session.state.dropped, iceServers: session.iceServers });
      await session.close();
    } catch (error) {
      const { code, message, retryable, name } = error;
      results.push({ code, message, retryable, name, isTurnError: error instanceof TurnError });
    }
  }
  return results;
}

const CLOUDFLARE = {
  iceServers: [
    { urls: ["stun:turn.example:3478", "stun:turn.example:53"] },
    { urls: ["stun:other.example:53"] },
    {
      urls: [
        "turn:turn.example:3478?transport=udp",
        "turn:turn.example:53?transport=udp",
        "turn:turn.example:80?transport=tcp",
        "turn:turn.example:3478?transport=tcp",
        "turns:turn.example:5349?transport=tcp",
        "turns:turn.example:443?transport=tcp",
        "turn:turn.example",
      ],
      username: "name",
      credential: "secret",
    },
  ],
  ttl: 600,
};
const ALL = CLOUDFLARE.iceServers.flatMap(({ urls }) => urls);
const WITHOUT_53 = ALL.filter((url) => !/:53(\?|$)/.test(url));

for (const name of BROWSERS) {
  describe(`sources in ${name}`, () => {
    let stage;

    before(async () => {
      stage = await Stage.open(name, { turn: false });
      stage.site.json("/turn/cloudflare", () => CLOUDFLARE);
      stage.site.json("/turn/only-53", () => ({ iceServers: [{ urls: ["stun:turn.example:53"] }], ttl: 600 }));
    });
    after(async () => {
      await stage?.close();
    });

    it("an address is asked with POST, no body and nothing from a cache", async () => {
      stage.requests.length = 0;
      await stage.run(openEach, [{ options: { source: "/turn" } }, { expression: `{ source: new URL("/turn", location.href) }` }]);
      assert.equal(stage.requests.length, 2);
      for (const { method, headers, body } of stage.requests) {
        assert.equal(method, "POST");
        assert.equal(body, "");
        assert.equal(headers["cache-control"], "no-cache");
      }
    });

    it("a request goes out as it was written down", async () => {
      stage.requests.length = 0;
      await stage.run(openEach, [
        { options: { source: { url: "/turn", method: "GET" } } },
        { options: { source: { url: "/turn", body: { ttl: 60, room: "müsli" }, headers: { authorization: "Bearer a" } } } },
        { expression: `{ source: { url: "/turn", headers: [["x-one", "1"], ["x-two", "2"]] } }` },
        { expression: `{ source: { url: "/turn", headers: new Headers({ "x-one": "1" }) } }` },
      ]);
      const [get, post, pairs, headers] = stage.requests;
      assert.equal(get.method, "GET");
      assert.deepEqual(JSON.parse(post.body), { ttl: 60, room: "müsli" });
      assert.equal(post.headers["content-type"], "application/json");
      assert.equal(post.headers.authorization, "Bearer a");
      assert.deepEqual([pairs.headers["x-one"], pairs.headers["x-two"]], ["1", "2"]);
      assert.equal(headers.headers["x-one"], "1");
    });

    it("a headers function is asked anew for each request", async () => {
      stage.requests.length = 0;
      await stage.run(async () => {
        const { openTurnSession } = await import("/pkg/index.js");
        let token = 0;
        const session = await openTurnSession({ source: { url: "/turn", headers: async () => ({ authorization: `Bearer ${++token}` }) } });
        await session.refresh();
        await session.close();
      });
      assert.deepEqual(stage.requests.map(({ headers }) => headers.authorization), ["Bearer 1", "Bearer 2"]);
    });

    it("a provider function is told the reason and gets a signal that closing aborts", async () => {
      const result = await stage.run(async () => {
        const { openTurnSession } = await import("/pkg/index.js");
        const calls = [];
        let hang = false;
        const source = ({ reason, signal }) => {
          calls.push({ reason, signal });
          if (hang) return new Promise(() => {});
          return Promise.resolve({ iceServers: [{ urls: "turn:127.0.0.1", username: `name-${calls.length}`, credential: "secret" }], ttl: 600 });
        };
        const session = await openTurnSession({ source });
        await session.refresh();
        hang = true;
        const pending = session.refresh().then(() => null, (error) => error.code);
        await session.close();
        const code = await pending;
        return { reasons: calls.map(({ reason }) => reason), signals: calls.map(({ signal }) => signal instanceof AbortSignal && signal.aborted), code };
      });
      assert.deepEqual(result, { reasons: ["initial", "manual", "manual"], signals: [false, false, true], code: "closed" });
    });

    it("what a provider function throws is the cause, and a TurnError decides whether to retry", async () => {
      const result = await stage.run(async () => {
        const { openTurnSession, TurnError } = await import("/pkg/index.js");
        const attempts = { plain: 0, fatal: 0 };
        const plainCause = new TypeError("offline today");
        const plain = await openTurnSession({ source: () => (attempts.plain++, Promise.reject(plainCause)) }).catch((error) => error);
        const fatalCause = new TurnError("http-status", "not signed in", { status: 403 });
        const fatal = await openTurnSession({
          source: () => {
            attempts.fatal++;
            throw fatalCause;
          },
        }).catch((error) => error);
        const notJson = await openTurnSession({ source: async () => undefined }).catch((error) => error);
        const show = (error, cause) => ({ isTurnError: error instanceof TurnError, code: error.code, status: error.status ?? null, retryable: error.retryable, cause: error === cause || error.cause === cause });
        return { attempts, plain: show(plain, plainCause), fatal: show(fatal, fatalCause), undefinedCode: notJson.code };
      });
      assert.deepEqual(result.attempts, { plain: 3, fatal: 1 });
      assert.equal(result.plain.isTurnError, true);
      assert.deepEqual([result.plain.code, result.plain.retryable, result.plain.cause], ["network", true, true]);
      assert.deepEqual([result.fatal.code, result.fatal.status, result.fatal.retryable, result.fatal.cause], ["http-status", 403, false, true]);
      assert.equal(result.undefinedCode, "response-invalid");
    });

    it("only secure sources are asked, and never the provider's own API", async () => {
      const insecure = ["http://turn.example/credentials", "http://10.0.0.1/credentials", "ftp://127.0.0.1/credentials", "data:application/json,{}"];
      const secret = [
        "https://rtc.live.cloudflare.com/v1/turn/keys/0/credentials/generate-ice-servers",
        "https://api.cloudflare.com/client/v4/accounts/0/calls/turn_keys",
      ];
      const results = await stage.run(openEach, [
        ...insecure.map((source) => ({ options: { source } })),
        ...secret.map((source) => ({ options: { source } })),
        { options: { source: { url: secret[0], headers: { authorization: "Bearer hunter2" } } } },
        { options: { source: "/turn", revoke: secret[0] } },
        { options: { source: "/turn", revoke: insecure[0] } },
      ]);
      assert.deepEqual(results.map(({ code }) => code), [
        ...insecure.map(() => "insecure-source"),
        "secret-in-browser", "secret-in-browser", "secret-in-browser", "secret-in-browser", "insecure-source",
      ]);
      for (const { isTurnError, retryable, message } of results) {
        assert.ok(isTurnError);
        assert.equal(retryable, false);
        assert.ok(!message.includes("hunter2"));
      }
      assert.match(results[insecure.length].message, /backend/);
      assert.match(results.at(-1).message, /revoke/);
    });

    it("a wrong option is named", async () => {
      const cases = [
        [{}, /source/],
        [{ source: 5 }, /source/],
        [{ source: {} }, /source\.url/],
        [{ source: "http://" }, /source/],
        [{ source: { url: "/turn", method: "PUT" } }, /source\.method/],
        [{ source: { url: "/turn", method: "GET", body: {} } }, /source\.body/],
        [{ source: { url: "/turn", timeout: 0 } }, /source\.timeout/],
        [{ source: { url: "/turn", timeout: 600_001 } }, /source\.timeout/],
        [{ source: { url: "/turn", credentials: "always" } }, /source\.credentials/],
        [{ source: { url: "/turn", headers: 5 } }, /source\.headers/],
        [{ source: "/turn", ttl: 0 }, /ttl/],
        [{ source: "/turn", ttl: -1 }, /ttl/],
        [{ source: "/turn", ttl: "600" }, /ttl/],
        [{ source: "/turn", ttl: 1e300 }, /ttl/],
        [{ source: "/turn", trickle: "no" }, /trickle/],
        [{ source: "/turn", iceRestart: "sometimes" }, /iceRestart/],
        [{ source: "/turn", urls: "all" }, /urls/],
        [{ source: "/turn", urls: { port53: "maybe" } }, /urls\.port53/],
        [{ source: "/turn", urls: { transports: [] } }, /urls\.transports/],
        [{ source: "/turn", urls: { transports: ["sctp"] } }, /urls\.transports/],
        [{ source: "/turn", urls: { max: 0 } }, /urls\.max/],
        [{ source: "/turn", urls: { max: 1.5 } }, /urls\.max/],
        [{ source: "/turn", revoke: 5 }, /revoke/],
        [{ source: "/turn", signal: {} }, /signal/],
      ];
      stage.requests.length = 0;
      const expressions = ["undefined", "null", "5", `{ source: "/turn", ttl: NaN }`];
      const results = await stage.run(openEach, [...cases.map(([options]) => ({ options })), ...expressions.map((expression) => ({ expression }))]);
      for (const [index, { code, message, isTurnError, retryable, opened }] of results.entries()) {
        const what = JSON.stringify(cases[index]?.[0] ?? expressions[index - cases.length]);
        assert.ok(!opened, `${what} was taken`);
        assert.equal(code, "invalid-option", `${what}: ${message}`);
        assert.ok(isTurnError, what);
        assert.equal(retryable, false, what);
        if (cases[index]) assert.match(message, cases[index][1], what);
      }
      assert.equal(stage.requests.length, 0, "a wrong option costs no request");
    });

    it("without trickle ICE every URL on port 53 goes, and nothing else", async () => {
      const source = "/turn/cloudflare";
      const [plain, trickle, without, keep, drop] = await stage.run(openEach, [
        { options: { source } },
        { options: { source, trickle: true } },
        { options: { source, trickle: false } },
        { options: { source, trickle: false, urls: { port53: "keep" } } },
        { options: { source, trickle: true, urls: { port53: "drop" } } },
      ]);
      for (const { urls, dropped } of [plain, trickle, keep]) {
        assert.deepEqual(urls, ALL);
        assert.deepEqual(dropped, []);
      }
      for (const { urls, dropped, iceServers } of [without, drop]) {
        assert.deepEqual(urls, WITHOUT_53);
        assert.deepEqual(dropped.map(({ url }) => url), ALL.filter((url) => !WITHOUT_53.includes(url)));
        assert.ok(dropped.every(({ reason }) => reason === "port-53"));
        assert.deepEqual(iceServers.map(({ urls }) => urls.length), [1, 6], "an entry left without URLs goes");
        assert.deepEqual([iceServers[1].username, iceServers[1].credential], ["name", "secret"]);
      }
    });

    it("a response with nothing but port 53 is refused without trickle ICE, and the message says why", async () => {
      const [result] = await stage.run(openEach, [{ options: { source: "/turn/only-53", trickle: false } }]);
      assert.equal(result.code, "response-invalid");
      assert.match(result.message, /no URL is left/);
    });

    it("transports and the cap choose among the URLs", async () => {
      const source = "/turn/cloudflare";
      const [tls, capped] = await stage.run(openEach, [
        { options: { source, urls: { transports: ["tls", "udp"] } } },
        { options: { source, urls: { max: 4 } } },
      ]);
      const turn = tls.urls.filter((url) => url.startsWith("turn"));
      assert.ok(turn.length > 0 && turn.every((url) => !/^turn:.*transport=tcp/.test(url)), `${turn}`);
      assert.match(turn[0], /^turns:/);
      assert.ok(tls.urls.some((url) => url.startsWith("stun:")), "STUN URLs stay");
      assert.ok(tls.dropped.every(({ reason }) => reason === "transport"));
      assert.equal(capped.urls.length, 4);
      for (const pattern of [/^stun:/, /^turn:[^?]*(\?transport=udp)?$/, /^turn:.*transport=tcp/, /^turns:/]) {
        assert.ok(capped.urls.some((url) => pattern.test(url)), `${pattern} among ${capped.urls}`);
      }
      assert.ok(capped.dropped.every(({ reason }) => reason === "max"));
    });
  });
}
