// The package in a folder of files, as docs/bundlers.md has it: no bundler, each page a module script and nothing else.
import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { generate } from "selfsigned";
import { App } from "../harness/app.mjs";
import { AppStage, CALL, STRICT } from "../harness/app-stage.mjs";
import { page } from "../harness/bundlers.mjs";
import { printed } from "../harness/markdown.mjs";

const main = (code) => `${code}
import { call } from "./call.js";

globalThis.outcome = call(openTurnSession).catch(({ code, message }) => ({ code, message }));
`;

const BESIDE = main(await printed("docs/bundlers.md", "mjs", "Without a bundler"));
const MAPPED = `<!doctype html>
<title>app</title>
<link rel="icon" href="data:,">
${await printed("docs/bundlers.md", "html", "Without a bundler")}
<script type="module" src="mapped.js"></script>
`;

describe("a folder of files with the package in it", () => {
  let stage;
  let app;
  let folder;
  before(async () => {
    stage = await AppStage.open();
    app = await App.install({
      "site/index.html": page("main.js"),
      "site/main.js": BESIDE,
      "site/inline.html": page("inline.js"),
      "site/inline.js": BESIDE.replace("turn-wasm/index.js", "turn-wasm/inline.js"),
      "site/mapped.html": MAPPED,
      "site/mapped.js": main('import { openTurnSession } from "turn-wasm";'),
      "site/call.js": CALL,
    });
    folder = app.path("site");
    await cp(app.path("node_modules/turn-wasm"), app.path("site/turn-wasm"), { recursive: true });
  });
  after(async () => {
    await app?.remove();
    await stage?.close();
  });

  it("holds a call", async () => {
    const site = await stage.site({ folders: { "": folder } });
    await stage.expectCall(site.url("/index.html"));
  });

  it("holds a call below a path", async () => {
    const site = await stage.site({ folders: { "/some/where": folder } });
    await stage.expectCall(site.url("/some/where/index.html"));
  });

  it("holds a call with an import map", async () => {
    const site = await stage.site({ folders: { "/some/where": folder } });
    await stage.expectCall(site.url("/some/where/mapped.html"));
  });

  it("holds a call under a strict content security policy with Trusted Types, from each entry", async () => {
    const site = await stage.site({ folders: { "": folder }, headers: STRICT });
    await stage.expectCall(site.url("/index.html"));
    await stage.expectCall(site.url("/inline.html"), { modules: 0 });
  });

  it("says which word the policy lacks where WebAssembly is forbidden", async () => {
    const headers = Object.fromEntries(Object.entries(STRICT).map(([name, value]) => [name, value.replace(" 'wasm-unsafe-eval'", "")]));
    const site = await stage.site({ folders: { "": folder }, headers });
    const { outcome } = await stage.visit(site.url("/index.html"), { expected: [/Content Security Policy/] });
    assert.equal(outcome.code, "unsupported-environment");
    assert.match(outcome.message, /'wasm-unsafe-eval'/);
  });

  it("names the file and the way out where the file is not served", async () => {
    const site = await stage.site({ folders: { "": folder } });
    site.on("/turn-wasm/dist/turn_wasm_bg.wasm", (_request, response) => response.writeHead(404).end());
    const { outcome } = await stage.visit(site.url("/index.html"), { expected: [/404/] });
    assert.equal(outcome.code, "unsupported-environment");
    assert.match(outcome.message, /status 404 for http:\S+\/turn_wasm_bg\.wasm\b.*init\(url\)/);
  });

  it("holds a call on an https page whose certificate is its own", async () => {
    const { private: key, cert } = await generate([{ name: "commonName", value: "127.0.0.1" }]);
    const site = await stage.site({ folders: { "": folder }, headers: STRICT, certificate: { key, cert } });
    assert.match(site.origin, /^https:/);
    await stage.expectCall(site.url("/index.html"));
  });
});
