// Importing under Node, as server-side rendering does, touches nothing; opening there says what is missing.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { App } from "../harness/app.mjs";
import { NODES } from "../harness/nodes.mjs";

const ENTRIES = ["turn-wasm", "turn-wasm/inline"];

let app;
before(async () => {
  app = await App.install({
    "node_modules/empty/package.json": JSON.stringify({ name: "empty", type: "module", exports: "./index.js" }),
    "node_modules/empty/index.js": "export {};",
  });
});
after(() => app?.remove());

for (const { name, program } of NODES) {
  const runInNode = async (source) => {
    // From a file: a text given to --eval finds more globals.
    await app.write("run.mjs", source);
    const { stdout, stderr } = await promisify(execFile)(program, ["run.mjs"], { cwd: app.folder });
    assert.equal(stderr, "");
    return JSON.parse(stdout);
  };

  // The globals that the import of `entry` reads, but for those named in `allowed`, and what it exports.
  const importing = (entry, allowed) =>
    runInNode(`
      const world = globalThis;
      const language = /^(Array|BigInt|Boolean|Error|JSON|Map|Math|Number|Object|Promise|Reflect|Set|String|Symbol|Uint8Array|WeakMap)$/;
      const allowed = ${JSON.stringify(allowed)};
      const touched = [];
      const watch = (name, read) =>
        Object.defineProperty(world, name, { configurable: true, get: () => (touched.push(name), read()), set: () => touched.push(name) });
      for (const name of Object.getOwnPropertyNames(world)) {
        const { configurable, value, get } = Object.getOwnPropertyDescriptor(world, name);
        if (!configurable || language.test(name) || allowed.includes(name)) continue;
        // Some are made when they are first read.
        watch(name, () => (get ? get.call(world) : value));
      }
      for (const name of ["window", "document", "location", "RTCPeerConnection"]) watch(name, () => undefined);
      const before = Reflect.ownKeys(world).length;
      // What Node's own loader reads at the import of an empty package does not count.
      touched.length = 0;
      await import("empty");
      const loader = touched.splice(0);
      const names = Object.keys(await import(${JSON.stringify(entry)})).sort();
      const seen = touched.filter((name) => !loader.includes(name));
      console.log(JSON.stringify({ touched: seen, names, added: Reflect.ownKeys(world).length - before }));
    `);

  for (const entry of ENTRIES) {
    const ENTRY = JSON.stringify(entry);

    describe(`${entry} under ${name}`, () => {
      it("is imported without touching a global", async () => {
        // What its class extends and its constants are made of; Error is the language's own.
        const result = await importing(entry, ["EventTarget", "TextDecoder", "TextEncoder"]);
        assert.deepEqual(result, { touched: [], names: ["TurnError", "TurnSession", "iceServersFromLink", "init", "openTurnSession"], added: 0 });
        const { touched } = await importing(entry, []);
        assert.deepEqual(touched.sort(), ["EventTarget", "TextDecoder", "TextEncoder"], "which shows that a touch is seen");
      });

      it("rejects with unsupported-environment where no browser is", async () => {
        const results = await runInNode(`
          const { init, openTurnSession, TurnError } = await import(${ENTRY});
          const show = (error) => ({ isTurnError: error instanceof TurnError && error instanceof Error, code: error.code, name: error.name, retryable: error.retryable, message: error.message });
          const results = [];
          for (const attempt of [() => openTurnSession({ source: "/api/turn-credentials" }), () => init()]) results.push(await attempt().then(() => null, show));
          console.log(JSON.stringify(results));
        `);
        assert.equal(results.length, 2);
        for (const { message, ...rest } of results) {
          assert.deepEqual(rest, { isTurnError: true, code: "unsupported-environment", name: "TurnError", retryable: false });
          assert.match(message, /browser/);
        }
      });

      it("TurnError can be made by an app's own provider", async () => {
        const result = await runInNode(`
          const { TurnError } = await import(${ENTRY});
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
  }

  describe(`the package's files under ${name}`, () => {
    it("turn-wasm and turn-wasm/inline share their classes", async () => {
      assert.equal(await runInNode(`
        const [one, other] = await Promise.all([import("turn-wasm"), import("turn-wasm/inline")]);
        console.log(one.TurnError === other.TurnError && one.TurnSession === other.TurnSession);
      `), true);
    });

    it("turn-wasm/wasm is the module, and turn-wasm/inline holds the same bytes", async () => {
      assert.deepEqual(await runInNode(`
        import { readFile } from "node:fs/promises";
        const place = new URL(import.meta.resolve("turn-wasm/wasm"));
        const file = await readFile(place);
        // What a browser would have: enough for the core to start.
        globalThis.location = new URL("https://app.example/");
        globalThis.navigator ??= {};
        const compiled = [];
        const { instantiate } = WebAssembly;
        // Node's own modules compile some too.
        WebAssembly.instantiate = (source, ...rest) => {
          if (source instanceof Uint8Array) compiled.push(source);
          return instantiate(source, ...rest);
        };
        const { init } = await import("turn-wasm/inline");
        await init();
        console.log(JSON.stringify([compiled.length, Buffer.compare(file, Buffer.from(compiled[0])), WebAssembly.validate(file)]));
      `), [1, 0, true]);
    });
  });
}
