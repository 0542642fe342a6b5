// The hand-written types, compiled as an app would that has installed the package: usage.ts holds what must compile and,
// marked line by line, what must not.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
// The last version with an interface for programs.
import ts from "typescript-5";
import { App } from "../harness/app.mjs";

const COMPILERS = { "TypeScript 7": "typescript", "TypeScript 5": "typescript-5" };
const RESOLUTIONS = { bundler: "esnext", node16: "node16", nodenext: "nodenext" };
const DECLARATIONS = ["index.d.ts", "inline.d.ts", "react.d.ts", "wasm.d.ts"];

let app;
before(async () => {
  app = await App.install({
    "usage.ts": await readFile(new URL("usage.ts", import.meta.url), "utf8"),
    "imports.ts": `import { openTurnSession } from "turn-wasm";\nimport "turn-wasm/inline";\nimport "turn-wasm/react";\nimport "turn-wasm/wasm";\nvoid openTurnSession;\n`,
  });
});
after(() => app?.remove());

const declaration = (name) => app.path("node_modules/turn-wasm", name);

/** What a compiler says about a file of the app; nothing if all is well. */
async function complaints(compiler, file, options) {
  const project = `tsconfig.${compiler}.${options.moduleResolution}.json`;
  const compilerOptions = {
    noEmit: true,
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noUncheckedSideEffectImports: true,
    verbatimModuleSyntax: true,
    // The compiler's own declarations are checked by those who make it.
    skipDefaultLibCheck: true,
    types: [],
    target: "esnext",
    ...options,
  };
  await app.write(project, JSON.stringify({ compilerOptions, files: [file] }));
  const program = fileURLToPath(new URL(`../node_modules/${compiler}/bin/tsc`, import.meta.url));
  const run = promisify(execFile)(process.execPath, [program, "--project", project, "--pretty", "false"], { cwd: app.folder });
  const { stdout } = await run.catch((error) => error);
  return stdout.trim();
}

for (const [name, compiler] of Object.entries(COMPILERS)) {
  describe(`the types in ${name}`, () => {
    for (const [moduleResolution, module] of Object.entries(RESOLUTIONS)) {
      it(`fit how an app may use the package, and refuse how it may not, with moduleResolution ${moduleResolution}`, async () => {
        assert.equal(await complaints(compiler, "usage.ts", { module, moduleResolution }), "");
      });
    }

    it("compile in apps that aim at older browsers", async () => {
      const options = { module: "esnext", moduleResolution: "bundler", target: "es2022", lib: ["es2022", "dom"] };
      assert.equal(await complaints(compiler, "imports.ts", options), "");
    });

    it("are missing for what is not exported", async () => {
      await app.write("inner.ts", `import "turn-wasm/dist/turn_wasm.js";\n`);
      assert.match(await complaints(compiler, "inner.ts", { module: "esnext", moduleResolution: "bundler" }), /TS2307|TS2882/);
    });
  });
}

describe("the declarations", () => {
  const sources = () => DECLARATIONS.map((name) => ts.createSourceFile(name, ts.sys.readFile(declaration(name)), ts.ScriptTarget.ESNext, true));
  const place = (source, node) => `${source.fileName}:${source.getLineAndCharacterOfPosition(node.getStart()).line + 1}`;
  const named = (node) => node.name?.getText() ?? ts.SyntaxKind[node.kind];

  it("hold no `any`", () => {
    const found = [];
    for (const source of sources()) {
      const visit = (node) => {
        if (node.kind === ts.SyntaxKind.AnyKeyword) found.push(place(source, node));
        ts.forEachChild(node, visit);
      };
      visit(source);
    }
    assert.deepEqual(found, []);
  });

  it("explain each export and each of its members", () => {
    const bare = [];
    for (const source of sources()) {
      for (const statement of source.statements) {
        // `export … from` and `export default` name what is explained elsewhere.
        if (ts.isExportDeclaration(statement) || ts.isExportAssignment(statement) || ts.isImportDeclaration(statement)) continue;
        for (const node of [statement, ...(statement.members ?? [])]) {
          const hidden = node.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword);
          if (!hidden && ts.getJSDocCommentsAndTags(node).length === 0) bare.push(`${place(source, node)} ${named(node)}`);
        }
      }
    }
    assert.deepEqual(bare, []);
  });

  it("name what the module exports and what its classes have, no more and no less", async () => {
    const [source] = sources();
    const values = source.statements.filter((node) => ts.isFunctionDeclaration(node) || ts.isClassDeclaration(node));
    const { default: _, ...module } = await import(app.path("node_modules/turn-wasm/index.js"));
    assert.deepEqual(values.map(named).sort(), Object.keys(module).sort());

    const session = values.find((node) => named(node) === "TurnSession");
    const inherited = ["addEventListener", "removeEventListener"];
    const members = session.members.filter((member) => !ts.isConstructorDeclaration(member)).map(named);
    const dispose = Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose");
    const has = Reflect.ownKeys(module.TurnSession.prototype)
      .map((key) => (key === dispose ? "[Symbol.asyncDispose]" : key))
      // Any other symbol is for the package alone.
      .filter((key) => typeof key === "string" && key !== "constructor");
    assert.deepEqual(members.filter((name) => !inherited.includes(name)).sort(), has.sort());
  });
});
