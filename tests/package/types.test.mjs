// The hand-written types, compiled as an app would: usage.ts holds what must compile and, marked line by line, what must not.
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { FOLDERS } from "../harness/site.mjs";

const TYPES = join(FOLDERS["/pkg"], "index.d.ts");
const USAGE = fileURLToPath(new URL("usage.ts", import.meta.url));

function complaints(files, options) {
  const program = ts.createProgram(files, {
    noEmit: true,
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    types: [],
    target: ts.ScriptTarget.ESNext,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    paths: { "turn-wasm": [TYPES] },
    ...options,
  });
  return ts
    .getPreEmitDiagnostics(program)
    .map(({ file, start, messageText }) => {
      const line = file && start !== undefined ? `${file.fileName.split("/").at(-1)}:${file.getLineAndCharacterOfPosition(start).line + 1}: ` : "";
      return line + ts.flattenDiagnosticMessageText(messageText, "\n");
    });
}

describe("index.d.ts", () => {
  it("fits how an app may use the package, and refuses how it may not", () => {
    assert.deepEqual(complaints([USAGE]), []);
  });

  it("compiles in apps that aim at older browsers", () => {
    assert.deepEqual(complaints([TYPES], { target: ts.ScriptTarget.ES2022, lib: ["lib.es2022.d.ts", "lib.dom.d.ts"] }), []);
  });

  it("holds no `any`", () => {
    const source = ts.createSourceFile(TYPES, ts.sys.readFile(TYPES), ts.ScriptTarget.ESNext, true);
    const found = [];
    const visit = (node) => {
      if (node.kind === ts.SyntaxKind.AnyKeyword) found.push(source.getLineAndCharacterOfPosition(node.getStart()).line + 1);
      ts.forEachChild(node, visit);
    };
    visit(source);
    assert.deepEqual(found, []);
  });
});
