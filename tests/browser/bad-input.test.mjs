// What a backend can send wrongly, as the first response and as a refresh: each a TurnError that names what is wrong and
// holds no secret, and on a refresh the credential held before still serves.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { BROWSERS, openBrowser } from "../harness/browsers.mjs";
import { answer, answerJson, FaultyBackend, neverEnd, SECRETS } from "../harness/faulty-backend.mjs";
import { Site } from "../harness/site.mjs";

const TURN = ({ iceServers }) => iceServers[1];

/** Edits the TURN entry of a good response. */
const withEntry = (change) => answerJson((response) => (change(TURN(response)), response));
/** Makes the TURN entry the only one. */
const onlyEntry = (change) =>
  answerJson((response) => {
    const entry = TURN(response);
    change(entry);
    return { ...response, iceServers: [entry] };
  });
const withServers = (iceServers) => answerJson((response) => ({ ...response, iceServers }));
const withTtl = (ttl) => answer(201, JSON.stringify(Object.assign(JSON.parse(GOOD), { ttl: 0 })).replace('"ttl":0', `"ttl":${ttl}`));
const GOOD = JSON.stringify({ iceServers: [{ urls: "turn:127.0.0.1:3478", ...SECRETS }] });

/** `names`: what the message must say. `retryable`: whether the same request may succeed later. */
const FAULTS = [
  { fault: "a backend that is down", down: true, code: "network", retryable: true },
  { fault: "status 500", respond: answer(500, `{"error":"${SECRETS.credential}"}`), code: "http-status", status: 500, names: /500/, retryable: true },
  { fault: "status 401", respond: answer(401, `{"error":"${SECRETS.credential}"}`), code: "http-status", status: 401, names: /401/, retryable: false },
  { fault: "status 404", respond: answer(404, "not found", "text/plain"), code: "http-status", status: 404, names: /404/, retryable: false },
  {
    fault: "HTML instead of JSON",
    respond: answer(200, `<!doctype html><p>${SECRETS.credential} ${SECRETS.username}`, "text/html"),
    code: "response-not-json",
    names: /JSON/,
  },
  { fault: "an empty body", respond: answer(201, ""), code: "response-not-json", names: /JSON/ },
  { fault: "a body of 1 MiB", respond: answerJson((response) => ({ ...response, padding: "x".repeat(1 << 20) })), code: "response-too-large", names: /64 KiB|65536/ },
  { fault: "a body that never ends", respond: neverEnd, timeout: 800, code: "timeout", names: /800/, retryable: true },
  { fault: "iceServers missing", respond: answer(201, '{"ttl":600}'), code: "response-invalid", names: /iceServers/ },
  { fault: "iceServers null", respond: withServers(null), code: "response-invalid", names: /iceServers/ },
  { fault: "iceServers a string", respond: withServers(SECRETS.credential), code: "response-invalid", names: /iceServers/ },
  { fault: "iceServers empty", respond: withServers([]), code: "response-invalid", names: /iceServers/ },
  { fault: "an entry without urls", respond: withEntry((entry) => delete entry.urls), code: "response-invalid", names: /iceServers\[1\]\.urls/ },
  { fault: "a turn: entry without credential", respond: withEntry((entry) => delete entry.credential), code: "response-invalid", names: /iceServers\[1\]\.credential/ },
  { fault: "nothing but a turn: URL with a bad port", respond: onlyEntry((entry) => (entry.urls = ["turn:127.0.0.1:99999"])), code: "response-invalid", names: /iceServers\[0\]\.urls/ },
  { fault: "nothing but an http: URL", respond: onlyEntry((entry) => (entry.urls = ["http://127.0.0.1:3478/"])), code: "response-invalid", names: /iceServers\[0\]\.urls/ },
  { fault: "a ttl of 0", respond: withTtl("0"), code: "response-invalid", names: /ttl/ },
  { fault: "a ttl of -1", respond: withTtl("-1"), code: "response-invalid", names: /ttl/ },
  { fault: 'a ttl of "abc"', respond: withTtl('"abc"'), code: "response-invalid", names: /ttl/ },
  { fault: "a ttl of 1e300", respond: withTtl("1e300"), code: "response-invalid", names: /ttl/ },
];

async function inThePage({ sources, phase }) {
  const { openTurnSession, TurnError } = await import("/pkg/index.js");
  const { listen } = await import("/harness/sdk-call.mjs");
  const { until } = await import("/harness/call.mjs");
  const describeError = (error) => ({
    code: error.code,
    status: error.status ?? null,
    retryable: error.retryable,
    name: error.name,
    message: error.message,
    isTurnError: error instanceof TurnError && error instanceof Error,
    // Everything of it that may end up in a log.
    text: [String(error), error.stack, JSON.stringify(error), String(error.cause), JSON.stringify(error.cause ?? null)].join("\n"),
  });
  const open = (source) => openTurnSession({ source });
  const phases = {
    async first(source) {
      const began = performance.now();
      try {
        await (await open(source)).close();
        return { opened: true };
      } catch (error) {
        return { error: describeError(error), ms: performance.now() - began };
      }
    },
    async refresh(source) {
      const session = await open(source);
      const heard = listen([session]);
      const look = () => {
        const { username, urls, expiresAt } = session.state;
        const pc = session.createPeerConnection();
        const applied = pc.getConfiguration().iceServers.map((server) => [server.urls, server.username, server.credential]);
        pc.close();
        return { serving: { username, urls, expiresAt }, iceServers: session.iceServers, applied };
      };
      const before = look();
      const error = await session.refresh().then(
        () => null,
        (reason) => describeError(reason),
      );
      await until(() => heard.some(({ type }) => type === "refresherror"), "a refresherror event", 2000).catch(() => {});
      const state = { ...session.state, lastError: session.state.lastError && describeError(session.state.lastError) };
      const after = look();
      await session.close();
      return { error, before, after, state, heard };
    },
  };
  // Opening gives up after 5 s and the request that is under way then.
  const tooLong = () => new Promise((resolve) => setTimeout(resolve, 15_000, { thrown: "nothing came of it within 15 s" }));
  return await Promise.all(
    sources.map((source) => Promise.race([phases[phase](source).catch((error) => ({ thrown: String(error) })), tooLong()])),
  );
}

function assertNoSecret(value, where) {
  const text = JSON.stringify(value);
  for (const [name, secret] of Object.entries(SECRETS)) assert.ok(!text.includes(secret), `${where} shows the ${name}: ${text}`);
}

for (const name of BROWSERS) {
  describe(`bad input in ${name}`, () => {
    let site;
    let backend;
    let browser;
    let page;
    const results = {};

    before(async () => {
      site = await Site.start();
      backend = new FaultyBackend();
      browser = await openBrowser(name);
      page = await browser.page(site.page);
      const source = async ({ down, respond, timeout }, good) => ({
        url: await (down ? backend.vanishingEndpoint({ good }) : backend.endpoint(respond, { good })),
        timeout,
      });
      const run = async (phase, faults, good) => {
        const sources = await Promise.all(faults.map((fault) => source(fault, good)));
        results[phase] = await page.evaluate(inThePage, { phase, sources });
      };
      await run("first", FAULTS, 0);
      await run("refresh", FAULTS, 1);
    });
    after(async () => {
      await browser?.close();
      await backend?.stop();
      await site?.stop();
    });

    function assertError(error, { code, status = null, names, retryable }) {
      assert.ok(error, "it did not fail");
      assert.equal(error.code, code, error.message);
      assert.equal(error.status, status);
      assert.equal(error.name, "TurnError");
      assert.ok(error.isTurnError, "not an instance of TurnError and Error");
      if (names) assert.match(error.message, names);
      if (retryable !== undefined) assert.equal(error.retryable, retryable, "retryable");
      assertNoSecret(error, "the error");
    }

    for (const [index, expected] of FAULTS.entries()) {
      it(`${expected.fault} as the first response is a TurnError (${expected.code})`, () => {
        const result = results.first[index];
        assert.equal(result.thrown, undefined);
        assertError(result.error, expected);
        if (expected.retryable === false) assert.ok(result.ms < 1000, `a refusal rejects at once, not after ${result.ms} ms`);
      });
    }

    for (const [index, expected] of FAULTS.entries()) {
      it(`${expected.fault} on a refresh leaves the old credential serving`, () => {
        const result = results.refresh[index];
        assert.equal(result.thrown, undefined);
        assertError(result.error, expected);
        const events = result.heard.filter(({ type }) => type === "refresherror");
        assert.ok(events.length > 0, "no refresherror event");
        assert.equal(events[0].detail.error.code, expected.code);
        assert.equal(events[0].detail.reason, "manual");
        assert.deepEqual(result.after, result.before);
        assert.equal(result.after.iceServers.at(-1).credential, SECRETS.credential);
        assert.equal(result.state.lastError.code, expected.code);
        assert.ok(result.heard.every(({ type }) => !["expired", "refreshed", "applied"].includes(type)), JSON.stringify(result.heard));
        assertNoSecret(result.heard, "an event");
        assertNoSecret(result.state, "the state");
      });
    }

    it("no error went unhandled on the page", () => {
      // The browser itself reports requests that failed.
      const troubles = page.troubles.filter((trouble) => !/Failed to load resource|NetworkError|Cross-Origin Request Blocked/.test(trouble));
      assert.deepEqual(troubles, []);
    });
  });
}
