// The package in WebKit, as far as Debian's goes: it has WebAssembly and no WebRTC. A session opens, refreshes and closes there, and
// says what is missing when it is asked for a connection.
import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { App } from "../harness/app.mjs";
import { AppStage, STRICT } from "../harness/app-stage.mjs";
import { missing, WebKit } from "../harness/webkit.mjs";

const PAGE = '<!doctype html><title>app</title><link rel="icon" href="data:,">';
const SOURCE = "/api/turn-credentials";

describe("the package in WebKit", { skip: missing }, () => {
  let stage;
  let app;
  let site;
  let webkit;
  before(async () => {
    stage = await AppStage.open({ browser: null });
    app = await App.install({ "site/index.html": PAGE });
    await cp(app.path("node_modules/turn-wasm"), app.path("site/turn-wasm"), { recursive: true });
    site = await stage.site({ folders: { "": app.path("site") } });
    site.json("/refused", () => ({ error: "not signed in" }), 403);
    webkit = await WebKit.open();
  });
  after(async () => {
    await webkit?.close();
    await app?.remove();
    await stage?.close();
  });

  // Runs a function in a page of its own, with what it gets as its argument.
  async function run(pageFunction, argument = null) {
    await webkit.load(site.url("/index.html"));
    return await webkit.run(pageFunction, argument);
  }

  it("runs in a WebKit without WebRTC", async (t) => {
    t.diagnostic(webkit.version);
    assert.deepEqual(await run(async () => [/AppleWebKit/.test(navigator.userAgent), typeof RTCPeerConnection]), [true, "undefined"]);
  });

  for (const entry of ["index", "inline"]) {
    it(`opens a session from ${entry}.js, refreshes it and closes it`, async () => {
      const { first, second, refreshed, statuses, afterwards } = await run(async (entry) => {
        const { openTurnSession } = await import(`/turn-wasm/${entry}.js`);
        const session = await openTurnSession({ source: "/api/turn-credentials" });
        const [first, statuses, refreshed] = [session.iceServers, [session.state.status], []];
        session.addEventListener("refreshed", ({ detail }) => refreshed.push(detail.reason));
        await session.refresh();
        const second = session.iceServers;
        statuses.push(session.state.status);
        await session.close();
        statuses.push(session.state.status);
        const afterwards = await session.refresh().catch(({ code }) => code);
        return { first, second, refreshed, statuses, afterwards };
      }, entry);
      assert.deepEqual([refreshed, statuses, afterwards], [["manual"], ["active", "active", "closed"], "closed"]);
      const answer = JSON.parse(await (await stage.session.ask(SOURCE)).text());
      const urls = (servers) => servers.map((server) => [server.urls].flat());
      for (const servers of [first, second]) assert.deepEqual(urls(servers), urls(answer.iceServers));
      const username = (servers) => servers.find((server) => server.username).username;
      assert.equal(new Set([first, second, answer.iceServers].map(username)).size, 3);
      assert.ok([first, second].every((servers) => servers.find((server) => server.username).credential.length > 0));
    });
  }

  it("says that there are no connections, and serves on without them", async () => {
    const { connection, probe, status } = await run(async () => {
      const { openTurnSession, TurnError } = await import("/turn-wasm/index.js");
      const session = await openTurnSession({ source: "/api/turn-credentials" });
      const show = (error) => [error instanceof TurnError, error.code, error.message];
      let connection;
      try {
        session.createPeerConnection();
      } catch (error) {
        connection = show(error);
      }
      const probe = await session.probe().catch(show);
      await session.refresh();
      const { status } = session.state;
      await session.close();
      return { connection, probe, status };
    });
    for (const [isTurnError, code, message] of [connection, probe]) {
      assert.deepEqual([isTurnError, code], [true, "unsupported-environment"]);
      assert.match(message, /no RTCPeerConnection/);
    }
    assert.equal(status, "active");
  });

  it("tells errors as other browsers do", async () => {
    const codes = await run(async () => {
      const { openTurnSession } = await import("/turn-wasm/index.js");
      const codes = [];
      for (const options of [{ source: "/refused" }, { source: "/index.html" }, { source: "http://turn.example/" }, {}]) {
        codes.push(await openTurnSession(options).then((session) => session.close(), ({ code }) => code));
      }
      return codes;
    });
    assert.deepEqual(codes, ["http-status", "response-not-json", "insecure-source", "invalid-option"]);
  });

  it("opens a session under a strict content security policy", async () => {
    const strict = await stage.site({ folders: { "": app.path("site") }, headers: STRICT });
    await app.write("site/strict.html", `${PAGE}<script type="module" src="strict.js"></script>`);
    await app.write("site/strict.js", `
      import { openTurnSession } from "./turn-wasm/index.js";
      openTurnSession({ source: "${SOURCE}" }).then((session) => { document.title = session.state.status; }, (error) => { document.title = error.message; });
    `);
    await webkit.load(strict.url("/strict.html"));
    assert.equal(await webkit.title((title) => title !== "app"), "active");
  });
});
