// turn-wasm/react under Node, where a server renders with it.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { App } from "../harness/app.mjs";
import { NODES } from "../harness/nodes.mjs";
import { REACTS } from "../harness/react.mjs";

const SERVER = `
import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { useTurnSession } from "turn-wasm/react";

let asked = 0;
function Status({ options }) {
  const { status, session, state, error } = useTurnSession(options);
  return createElement("p", null, status, String(session), String(state), String(error));
}
const options = { source: async () => asked++ };
const html = [options, null].map((options) => renderToString(createElement(Status, { options })));
await new Promise((resolve) => setImmediate(resolve));
console.log(JSON.stringify({ html: html.map((text) => text.replaceAll("<!-- -->", " ")), asked }));
`;

for (const [version, packages] of Object.entries(REACTS)) {
  describe(`turn-wasm/react on a server with React ${version}`, () => {
    let app;
    before(async () => {
      app = await App.install({ "server.mjs": SERVER }, packages);
    });
    after(() => app?.remove());

    for (const { name, program } of NODES) {
      it(`renders that the session is opening, and opens none, under ${name}`, async () => {
        const { stdout, stderr } = await promisify(execFile)(program, ["server.mjs"], { cwd: app.folder });
        assert.equal(stderr, "");
        assert.deepEqual(JSON.parse(stdout), {
          html: ["<p>opening undefined undefined undefined</p>", "<p>idle undefined undefined undefined</p>"],
          asked: 0,
        });
      });
    }
  });
}

describe("turn-wasm/react without React", () => {
  it("is not needed to install the package, and says what is missing when it is imported", async () => {
    const app = await App.install();
    try {
      const run = promisify(execFile)(process.execPath, ["--input-type=module", "--eval", 'await import("turn-wasm"); await import("turn-wasm/react");'], { cwd: app.folder });
      await assert.rejects(run, /Cannot find package 'react'/);
    } finally {
      await app.remove();
    }
  });
});
