// The package in apps of each bundler: each app holds a call, from the bundler's development server and when it is built.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { AppStage } from "../harness/app-stage.mjs";
import { BundledApp, BUNDLERS, versionOf, WAYS } from "../harness/bundlers.mjs";

describe("an app made with", () => {
  let stage;
  before(async () => {
    stage = await AppStage.open();
  });
  after(() => stage?.close());

  for (const [name, bundler] of Object.entries(BUNDLERS)) {
    const { development, production, start, rendered } = bundler;
    for (const way of new Set([...development, ...production])) {
      const { says, modules } = WAYS[way];
      describe(`${name} (${says ?? way})`, () => {
        let app;
        before(async () => {
          app = await BundledApp.install(name, way);
        });
        after(() => app?.remove());

        if (development.includes(way)) {
          it("holds a call in development", async () => {
            const site = await stage.site(await app.served());
            await stage.expectCall(site.url("/"), { modules });
          });
        }

        if (production.includes(way)) {
          it(`holds a call when it is built${start ? "" : ", under a strict content security policy"}`, async () => {
            await app.build();
            const site = await stage.site(await app.built());
            await stage.expectCall(site.url(start ? "/" : "/index.html"), { modules });
            if (rendered) assert.ok((await (await fetch(site.url("/"))).text()).includes(rendered));
          });
        }
      });
    }
  }
});

describe("docs/bundlers.md", () => {
  it("tells of each bundler what it takes here", async () => {
    const page = await readFile(fileURLToPath(new URL("../../docs/bundlers.md", import.meta.url)), "utf8");
    const rows = page.split("\n").filter((line) => line.startsWith("| "));
    const cell = (ways) => ways.map((way) => WAYS[way].says).filter(Boolean).join(", or ") || "–";
    const needed = (ways) => ways.filter((way) => !WAYS[way].onlyInDevelopment);
    assert.deepEqual(
      rows.slice(1),
      Object.entries(BUNDLERS).map(
        ([name, { package: source, development, production }]) => `| ${name} | ${versionOf(source)} | ${cell(development)} | ${cell(needed(production))} |`,
      ),
    );
  });
});
