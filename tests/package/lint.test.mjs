// What two linters of packages say about the tarball: publint reads it as bundlers do, are-the-types-wrong as TypeScript does.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { App } from "../harness/app.mjs";

const ATTW = fileURLToPath(new URL("../node_modules/@arethetypeswrong/cli/dist/index.js", import.meta.url));

describe("the tarball", () => {
  let app;
  before(async () => {
    app = await App.install();
  });
  after(() => app?.remove());

  it("gives publint nothing to say, not even a suggestion", async () => {
    const tarball = await readFile(app.tarball);
    const { messages, pkg } = await publint({ pack: { tarball: new Uint8Array(tarball).buffer }, level: "suggestion", strict: true });
    assert.equal(pkg.name, "turn-wasm");
    assert.deepEqual(messages.map((message) => formatMessage(message, pkg, { color: false })), []);
  });

  it("has the right types for are-the-types-wrong, at each entry and from each kind of module", async () => {
    // ESM alone, by intention: `require()` has had to be a dynamic import until Node 20.19 and 22.12.
    const { stdout } = await promisify(execFile)(process.execPath, [ATTW, app.tarball, "--profile", "esm-only", "--format", "json"]);
    const { analysis, problems } = JSON.parse(stdout);
    const { exports } = JSON.parse(await readFile(app.path("node_modules/turn-wasm/package.json"), "utf8"));
    assert.deepEqual(Object.keys(analysis.entrypoints).sort(), Object.keys(exports).sort());
    for (const [name, { resolutions }] of Object.entries(analysis.entrypoints)) {
      for (const [kind, { resolution }] of Object.entries(resolutions)) {
        assert.ok(name === "./package.json" ? resolution.isJson : resolution.isTypeScript, `${name} from ${kind}`);
      }
    }
    assert.deepEqual(Object.keys(problems ?? {}), ["CJSResolvesToESM"]);
  });
});
