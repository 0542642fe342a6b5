// The documentation against what it is about: its code against the package's types, its tables against the names in them, its
// links against the files and headings they lead to.
import assert from "node:assert/strict";
import { access, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import ts from "typescript-5";
import { codeBlocks, headingAnchors, links } from "../harness/markdown.mjs";
import { FOLDERS } from "../harness/site.mjs";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PAGES = ["README.md", "pkg/README.md", "docs/guide.md", "docs/libraries.md", "docs/lifetime.md", "docs/faults.md", "docs/fleet.md", "docs/gathering.md", "docs/backend.md", "docs/bench.md", "docs/soak.md", "docs/bundlers.md", "CHANGELOG.md", "RELEASING.md"];
const TYPES = join(FOLDERS["/pkg"], "index.d.ts");
const SURROUNDINGS = ["docs-surroundings.d.ts", "docs-libraries.d.ts"].map((file) => fileURLToPath(new URL(file, import.meta.url)));

const read = (page) => readFile(join(ROOT, page), "utf8");

/** What TypeScript says of these blocks, each a module of its own: `page:line: complaint`. */
async function complaints(blocks) {
  const folder = await mkdtemp(join(tmpdir(), "turn-wasm-docs-"));
  try {
    const places = new Map();
    for (const [index, { page, line, code }] of blocks.entries()) {
      const file = join(folder, `${index}.js`);
      await writeFile(file, code);
      places.set(file, { page, line });
    }
    await writeFile(join(folder, "negotiate.js"), `${NEGOTIATE}\nexport { negotiate };\n`);
    await writeFile(join(folder, "vite.d.ts"), 'declare module "*?url" {\n  const url: string;\n  export default url;\n}\n');
    const program = ts.createProgram([...places.keys(), join(folder, "vite.d.ts"), ...SURROUNDINGS], {
      noEmit: true,
      allowJs: true,
      checkJs: true,
      strict: true,
      // JavaScript has nowhere to write a parameter's type down.
      noImplicitAny: false,
      // What cannot be missing where it is read is not looked for on these pages.
      strictNullChecks: false,
      moduleDetection: ts.ModuleDetectionKind.Force,
      types: [],
      target: ts.ScriptTarget.ESNext,
      lib: ["lib.esnext.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"],
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      paths: Object.fromEntries([["turn-wasm", TYPES], ...["inline", "wasm"].map((name) => [`turn-wasm/${name}`, join(FOLDERS["/pkg"], `${name}.d.ts`)])].map(([name, types]) => [name, [types]])),
      skipLibCheck: true,
    });
    return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
      const { page, line } = places.get(file?.fileName) ?? { page: file?.fileName, line: 1 };
      const at = file ? `${page}:${line + file.getLineAndCharacterOfPosition(start ?? 0).line}: ` : "";
      return at + ts.flattenDiagnosticMessageText(messageText, "\n");
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}

const NEGOTIATE = codeBlocks(await read("docs/guide.md")).find(({ headings }) => headings.at(-1) === "Perfect negotiation").code;

/** The code that an app's page is made of: the backends have tests that run them. */
async function pageCode() {
  const found = [];
  for (const page of PAGES) {
    const blocks = codeBlocks(await read(page)).filter(({ language }) => ["js", "ts"].includes(language));
    found.push(...blocks.filter(({ headings }) => !(page === "README.md" && headings.includes("Your backend"))).map((block) => ({ page, ...block })));
  }
  return found;
}

describe("the documentation", () => {
  it("shows code that fits the package's types", async (t) => {
    const blocks = await pageCode();
    t.diagnostic(`${blocks.length} blocks of code`);
    assert.ok(blocks.length >= 15);
    // A name that only the reader's app knows belongs into docs-surroundings.d.ts.
    assert.deepEqual(await complaints(blocks), []);
  });

  it("would be noticed to show code that does not", async () => {
    const found = await complaints([
      { page: "a.md", line: 10, code: 'import { openTurnSession } from "turn-wasm";\nawait openTurnSession({ sauce: "/turn" });\n' },
      { page: "b.md", line: 20, code: 'turn.addEventListener("restarted", ({ detail }) => detail.took);\n' },
      { page: "c.md", line: 30, code: "const x = ;\n" },
    ]);
    assert.deepEqual(found.map((complaint) => /^\w\.md:\d+/.exec(complaint)?.[0]).sort(), ["a.md:11", "b.md:20", "c.md:30"]);
  });

  it("explains each error code, and none that does not exist", async () => {
    const [, union] = /export type TurnErrorCode =([^;]*);/.exec(await readFile(TYPES, "utf8"));
    const codes = [...union.matchAll(/"([^"]+)"/g)].map(([, code]) => code);
    assert.ok(codes.length >= 14);
    const [, section] = (await read("docs/guide.md")).split("\n## Troubleshooting by error code\n");
    const explained = [...section.split("\n## ", 1)[0].matchAll(/^\| `([^`]+)` \|/gm)].map(([, code]) => code);
    assert.deepEqual(explained.filter((code) => code !== "code").sort(), codes.sort());
  });

  it("leads to files and headings that exist", async () => {
    const broken = [];
    for (const page of PAGES) {
      for (const target of links(await read(page))) {
        if (/^[a-z]+:/.test(target)) continue;
        const [path, anchor] = target.split("#");
        const file = path ? resolve(dirname(join(ROOT, page)), path) : join(ROOT, page);
        const exists = await access(file).then(() => true, () => false);
        if (!exists || (anchor && !headingAnchors(await readFile(file, "utf8")).includes(anchor))) broken.push(`${page}: ${target}`);
      }
    }
    assert.deepEqual(broken, []);
  });

  it("lists every section of the guide at its beginning", async () => {
    const guide = await read("docs/guide.md");
    const [beginning] = guide.split("\n## ", 1);
    assert.deepEqual(
      links(beginning).filter((target) => target.startsWith("#")),
      [...guide.matchAll(/^## (.*)$/gm)].flatMap(([, heading]) => headingAnchors(`# ${heading}`)).map((anchor) => `#${anchor}`),
    );
  });
});
