// What a page of tests/libraries/ needs from the file system: itself, the library and the recipe in one module.
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { printed } from "./markdown.mjs";

const FOLDER = fileURLToPath(new URL("../libraries/", import.meta.url));

/** The code under a heading as a module that exports its functions. */
async function printedModule(page, heading) {
  const code = await printed(page, "js", heading);
  const names = [...code.matchAll(/^(?:async )?function (\w+)/gm)].map(([, name]) => name);
  return { contents: `${code}\nexport { ${names.join(", ")} };\n`, resolveDir: FOLDER };
}

const printedCode = {
  name: "printed code",
  setup(build) {
    build.onResolve({ filter: /^recipe:/ }, ({ path }) => ({ path: path.slice("recipe:".length), namespace: "recipe" }));
    build.onResolve({ filter: /^\.\/negotiate\.js$/ }, () => ({ path: "Perfect negotiation", namespace: "guide" }));
    build.onLoad({ filter: /./, namespace: "recipe" }, ({ path }) => printedModule("docs/libraries.md", path));
    build.onLoad({ filter: /./, namespace: "guide" }, ({ path }) => printedModule("docs/guide.md", path));
    // The package and the harness come from the site, so that there is one of each.
    build.onResolve({ filter: /^turn-wasm$/ }, () => ({ path: "/pkg/index.js", external: true }));
    build.onResolve({ filter: /^\/(harness|www|pkg)\// }, ({ path }) => ({ path, external: true }));
  },
};

/** The text of a page's module: `name` of tests/libraries/. */
export async function bundlePage(name) {
  const { outputFiles } = await build({
    entryPoints: [`${FOLDER}${name}.mjs`],
    bundle: true,
    format: "esm",
    plugins: [printedCode],
    write: false,
    logLevel: "silent",
  });
  return outputFiles[0].text;
}
