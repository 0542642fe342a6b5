// The bundlers of tests/apps/package.json: what an app of each is made of, and how it builds and serves that.
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { App } from "./app.mjs";
import { CALL } from "./app-stage.mjs";
import { Child } from "./children.mjs";
import { printed } from "./markdown.mjs";

const FOLDER = fileURLToPath(new URL("../apps/", import.meta.url));

// Colours are for terminals, and what they report of their use is for nobody.
const QUIET = { NO_COLOR: "1", NEXT_TELEMETRY_DISABLED: "1" };

/** An app's page whose script is at `path`. */
export const page = (path) => `<!doctype html>
<title>app</title>
<link rel="icon" href="data:,">
<script type="module" src="${path}"></script>
`;

const vite = (version) => ({
  package: `vite-${version}`,
  program: "bin/vite.js",
  main: "main.js",
  files: { "index.html": page("/main.js") },
  serve: ["--host", "127.0.0.1", "--port", "0"],
  build: ["build"],
  development: ["nothing"],
  production: ["nothing"],
});

const webpack = (name, program) => ({
  package: name,
  program,
  main: "src/index.js",
  files: { "public/index.html": page("/main.js"), "dist/index.html": page("main.js") },
  serve: ["serve", "--mode", "development", "--host", "127.0.0.1", "--port", "0"],
  build: ["build", "--mode", "production"],
  development: ["nothing"],
  production: ["nothing"],
});

const ESBUILD = ["main.js", "--bundle", "--format=esm", "--outdir=dist"];

const ROLLUP = await printed("docs/bundlers.md", "mjs", "Rollup");

/**
 * By name. `main`: the app's script, `files`: what else it is made of; `serve` and `build`: what the program is given for the two;
 * a build goes to dist/. `development` and `production`: the ways in which each of the two gets the package to run, by their
 * names in {@link WAYS}.
 */
export const BUNDLERS = {
  "Vite 8": vite(8),
  "Vite 7": vite(7),
  "Vite 6": vite(6),
  "Vite 5": vite(5),
  "webpack 5": webpack("webpack", "../webpack-cli/bin/cli.js"),
  Rspack: webpack("@rspack/core", "../cli/bin/rspack.js"),
  esbuild: {
    package: "esbuild",
    program: "bin/esbuild",
    main: "main.js",
    files: { "dist/index.html": page("main.js") },
    // Forever: it would end with its standard input, which is nobody's here.
    serve: [...ESBUILD, "--servedir=dist", "--serve=127.0.0.1:0", "--watch=forever"],
    build: [...ESBUILD, "--minify"],
    development: ["inline", "loader"],
    production: ["inline", "loader"],
  },
  Rollup: {
    package: "rollup",
    program: "dist/bin/rollup",
    main: "main.js",
    files: { "dist/index.html": page("main.js"), "rollup.config.mjs": ROLLUP.replace(/^.*import-meta-assets.*\n/m, "").replace(", importMetaAssets()", "") },
    build: ["--config"],
    // It has no server.
    development: [],
    production: ["inline", "plugin"],
  },
};

/**
 * What an app has to do for the package to run. `says`: as the table in docs/bundlers.md has it. `code`: how the app comes to
 * `openTurnSession`; `options`: what the bundler is given besides; `files`: what the app has besides; `modules`: how many
 * WebAssembly files its page then fetches.
 */
export const WAYS = {
  nothing: { says: "nothing", code: 'import { openTurnSession } from "turn-wasm";', modules: 1 },
  inline: { says: "`turn-wasm/inline`", code: await printed("docs/bundlers.md", "js", "Any other bundler"), modules: 0 },
  loader: {
    says: "[the `file` loader](#esbuild)",
    code: await printed("docs/bundlers.md", "js", "esbuild"),
    options: (await printed("docs/bundlers.md", "sh", "esbuild")).trim().split(" ").filter((word) => word.startsWith("--loader")),
    modules: 1,
  },
  plugin: {
    says: "[a plugin](#rollup)",
    code: 'import { openTurnSession } from "turn-wasm";',
    files: { "rollup.config.mjs": ROLLUP },
    modules: 1,
  },
};

/** The version of a package in tests/apps/node_modules. */
export function versionOf(name) {
  return JSON.parse(readFileSync(join(FOLDER, "node_modules", name, "package.json"), "utf8")).version;
}

export class BundledApp {
  #app;
  #bundler;
  #way;
  #server;

  /** An app of a bundler that holds a call, by names in {@link BUNDLERS} and {@link WAYS}. */
  static async install(name, way) {
    const app = new BundledApp();
    app.#bundler = BUNDLERS[name];
    app.#way = WAYS[way];
    const { main, files } = app.#bundler;
    const script = `${app.#way.code}
import { call } from "./call.js";

globalThis.outcome = call(openTurnSession);
`;
    const all = { [main]: script, [join(dirname(main), "call.js")]: CALL, ...files, ...app.#way.files };
    // Below tests/apps, so that it finds the bundler's packages as it finds its own.
    app.#app = await App.install(all, {}, { within: FOLDER });
    return app;
  }

  #command(given) {
    const { package: name, program } = this.#bundler;
    return [join(FOLDER, "node_modules", name, program), [...given, ...(this.#way.options ?? [])]];
  }

  /** Builds it for production, and resolves with the folder. The bundler must not warn. */
  async build() {
    const [program, options] = this.#command(this.#bundler.build);
    const place = { cwd: this.#app.folder, env: { ...process.env, ...QUIET } };
    const { stdout, stderr } = await promisify(execFile)(program, options, place).catch((error) => {
      throw new Error(`${error.message}\n${error.stdout}`);
    });
    if (/warn/i.test(stdout + stderr)) throw new Error(`${program} warns:\n${stdout}${stderr}`);
    return this.#app.path("dist");
  }

  /** Starts the bundler's server, and resolves with its origin. */
  async serve() {
    this.#server = new Child(...this.#command(this.#bundler.serve), { cwd: this.#app.folder, env: QUIET });
    const [, origin] = await this.#server.line(/(http:\/\/(?:127\.0\.0\.1|localhost):\d+)/, { within: 60_000 });
    return origin;
  }

  async remove() {
    await this.#server?.stop();
    await this.#app.remove();
  }
}
