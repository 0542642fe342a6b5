// Importing under Node, as server-side rendering does, touches nothing; opening there says what is missing.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { FOLDERS } from "../harness/site.mjs";

const ENTRY = pathToFileURL(join(FOLDERS["/pkg"], "index.js")).href;

async function runInNode(source) {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", source]);
  assert.equal(stderr, "");
  return JSON.parse(stdout);
}

describe("the package under Node", () => {
  it("is imported without side effects", async () => {
    const result = await runInNode(`
      const touched = [];
      for (const name of ["fetch", "setTimeout", "setInterval", "queueMicrotask"]) {
        const original = globalThis[name];
        globalThis[name] = (...values) => (touched.push(name), original(...values));
      }
      for (const name of ["compile", "instantiate", "Module", "Instance"]) {
        WebAssembly[name] = new Proxy(WebAssembly[name], { apply: () => touched.push(name), construct: () => (touched.push(name), {}) });
      }
      for (const name of ["window", "document", "location", "RTCPeerConnection"]) {
        Object.defineProperty(globalThis, name, { configurable: true, get: () => void touched.push(name) });
      }
      const before = Reflect.ownKeys(globalThis).length;
      const module = await import(${JSON.stringify(ENTRY)});
      const names = Object.keys(module).sort();
      console.log(JSON.stringify({ touched, names, added: Reflect.ownKeys(globalThis).length - before }));
    `);
    assert.deepEqual(result, { touched: [], names: ["TurnError", "TurnSession", "iceServersFromLink", "init", "openTurnSession"], added: 0 });
  });

  it("rejects with unsupported-environment where no browser is", async () => {
    const results = await runInNode(`
      const { init, openTurnSession, TurnError } = await import(${JSON.stringify(ENTRY)});
      const show = (error) => ({ isTurnError: error instanceof TurnError && error instanceof Error, code: error.code, name: error.name, retryable: error.retryable, message: error.message });
      const results = [];
      for (const attempt of [() => openTurnSession({ source: "/api/turn-credentials" }), () => init()]) results.push(await attempt().then(() => null, show));
      console.log(JSON.stringify(results));
    `);
    for (const { message, ...rest } of results) {
      assert.deepEqual(rest, { isTurnError: true, code: "unsupported-environment", name: "TurnError", retryable: false });
      assert.match(message, /browser/);
    }
  });

  it("TurnError can be made by an app's own provider", async () => {
    const result = await runInNode(`
      const { TurnError } = await import(${JSON.stringify(ENTRY)});
      const cause = new Error("inner");
      const error = new TurnError("http-status", "not signed in", { status: 401, retryable: false, cause });
      const bare = new TurnError("network", "no network");
      console.log(JSON.stringify({ text: String(error), code: error.code, status: error.status, retryable: error.retryable, cause: error.cause === cause, bare: [bare.retryable, "status" in bare, "cause" in bare] }));
    `);
    assert.deepEqual(result, {
      text: "TurnError: not signed in", code: "http-status", status: 401, retryable: false, cause: true, bare: [false, false, false],
    });
  });
});
