// The bundlers of tests/apps/package.json: what an app of each is made of, and how it builds and serves that.
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { App } from "./app.mjs";
import { CALL, STRICT } from "./app-stage.mjs";
import { Child } from "./children.mjs";
import { printed, section } from "./markdown.mjs";

const FOLDER = fileURLToPath(new URL("../apps/", import.meta.url));

// Colours are for terminals, what they report of their use is for nobody, and what Node says of their code is not about ours.
const QUIET = { NO_COLOR: "1", NODE_NO_WARNINGS: "1", NEXT_TELEMETRY_DISABLED: "1" };

/** An app's page whose script is at `path`. */
export const page = (path) => `<!doctype html>
<title>app</title>
<link rel="icon" href="data:,">
<script type="module" src="${path}"></script>
`;

const plainScript = (code) => `${code}
import { call } from "./call.js";

globalThis.outcome = call(openTurnSession);
`;

const vite = (version, ways) => ({
  package: `vite-${version}`,
  program: "bin/vite.js",
  main: "main.js",
  files: { "index.html": page("/main.js") },
  serve: ["--host", "127.0.0.1", "--port", "0"],
  build: ["build"],
  development: ways,
  production: ways,
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

/** A page that React renders on the server first, with a session of its own from the hook beside the call. */
const nextPage = (code) => `"use client";
import { useEffect } from "react";
${code}
import { useTurnSession } from "turn-wasm/react";
import { call } from "./call.js";

export default function Page() {
  const { status } = useTurnSession({ source: "/api/turn-credentials" });
  useEffect(() => {
    // StrictMode runs it twice.
    globalThis.outcome ??= call(openTurnSession);
  }, []);
  return <p>The session: {status}</p>;
}
`;

const NEXT_LAYOUT = `export default function Layout({ children }) {
  return <html lang="en"><head><link rel="icon" href="data:," /></head><body>{children}</body></html>;
}
`;

/** It would take the topmost folder with a lock file for the app's, and say that there are several. An app has one. */
const NEXT_CONFIG = `import { fileURLToPath } from "node:url";

export default { turbopack: { root: fileURLToPath(new URL("..", import.meta.url)) } };
`;

const ROLLUP = await printed("docs/bundlers.md", "mjs", "Rollup");

/**
 * By name. `main`: the app's script, which `script` makes of how it comes to `openTurnSession`; `files`: what else it is made of;
 * `serve` and `build`: what the program is given for the two. A build goes to dist/, or is served by the program with `start`, and
 * then the page says `rendered` before any script has run. `development` and `production`: the ways in which each of the two gets the package to run, by their
 * names in {@link WAYS}.
 */
export const BUNDLERS = {
  "Vite 8": vite(8, ["nothing", "workspace"]),
  "Vite 7": vite(7, ["nothing", "named", "excluded"]),
  "Vite 6": vite(6, ["nothing", "named", "excluded"]),
  "Vite 5": vite(5, ["nothing", "named", "excluded"]),
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
  "Next.js 16": {
    package: "next",
    program: "dist/bin/next",
    main: "app/page.js",
    script: nextPage,
    files: { "app/layout.js": NEXT_LAYOUT, "next.config.mjs": NEXT_CONFIG },
    serve: ["dev", "--hostname", "127.0.0.1", "--port", "0"],
    build: ["build"],
    start: ["start", "--hostname", "127.0.0.1", "--port", "0"],
    rendered: "The session: <!-- -->opening",
    development: ["nothing"],
    production: ["nothing"],
  },
};

/** The option that the README names, as it stands there. */
const VITE_CONFIG = `export default { ${/`(optimizeDeps: .*?)`/.exec(await section("README.md", "Vite 5 to 7 in a monorepo"))[1]} };`;

/** An app that is one of several in a folder, which has their packages. */
const WORKSPACE = {
  inside: "packages/app",
  files: { "package.json": '{ "private": true, "type": "module" }' },
  around: { "package.json": '{ "private": true, "workspaces": ["packages/*"] }' },
};

const PLAIN = 'import { openTurnSession } from "turn-wasm";';

/**
 * What an app has to do for the package to run. `says`: as the table in docs/bundlers.md has it, if it does; `onlyInDevelopment`:
 * a build bears it and does without. `code`: how the app comes to `openTurnSession`; `options`: what the bundler is given besides;
 * `files`: what the app has besides; `inside`: where in what has the package installed it lies, and `around`: what else lies there;
 * `modules`: how many WebAssembly files its page then fetches.
 */
export const WAYS = {
  nothing: { says: "nothing", code: PLAIN, modules: 1 },
  inline: { says: "`turn-wasm/inline`", code: await printed("docs/bundlers.md", "js", "Any other bundler"), modules: 0 },
  workspace: { code: PLAIN, ...WORKSPACE, modules: 1 },
  named: {
    says: "in a monorepo [a line](../README.md#vite-5-to-7-in-a-monorepo)",
    onlyInDevelopment: true,
    code: `${PLAIN}\n${await printed("README.md", "js", "Vite 5 to 7 in a monorepo")}`,
    ...WORKSPACE,
    modules: 1,
  },
  excluded: {
    says: "[an option](../README.md#vite-5-to-7-in-a-monorepo)",
    onlyInDevelopment: true,
    code: PLAIN,
    ...WORKSPACE,
    files: { ...WORKSPACE.files, "vite.config.js": VITE_CONFIG },
    modules: 1,
  },
  loader: {
    says: "[the `file` loader](#esbuild)",
    code: await printed("docs/bundlers.md", "js", "esbuild"),
    options: (await printed("docs/bundlers.md", "sh", "esbuild")).trim().split(" ").filter((word) => word.startsWith("--loader")),
    modules: 1,
  },
  plugin: {
    says: "[a plugin](#rollup)",
    code: PLAIN,
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
  #folder;
  #bundler;
  #way;
  #server;

  /** An app of a bundler that holds a call, by names in {@link BUNDLERS} and {@link WAYS}. */
  static async install(name, way) {
    const app = new BundledApp();
    app.#bundler = BUNDLERS[name];
    app.#way = WAYS[way];
    const { main, script = plainScript, files } = app.#bundler;
    const { code, files: more, inside = "", around } = app.#way;
    const own = { [main]: script(code), [join(dirname(main), "call.js")]: CALL, ...files, ...more };
    const placed = Object.fromEntries(Object.entries(own).map(([path, content]) => [join(inside, path), content]));
    // Below tests/apps, so that it finds the bundler's packages as it finds its own.
    app.#app = await App.install({ ...placed, ...around }, {}, { within: FOLDER });
    app.#folder = app.#app.path(inside);
    return app;
  }

  #command(given) {
    const { package: name, program } = this.#bundler;
    return [join(FOLDER, "node_modules", name, program), [...given, ...(this.#way.options ?? [])]];
  }

  /** Builds it for production. The bundler must not warn. */
  async build() {
    const [program, options] = this.#command(this.#bundler.build);
    const place = { cwd: this.#folder, env: { ...process.env, ...QUIET } };
    const { stdout, stderr } = await promisify(execFile)(program, options, place).catch((error) => {
      throw new Error(`${error.message}\n${error.stdout}`);
    });
    if (/warn/i.test(stdout + stderr)) throw new Error(`${program} warns:\n${stdout}${stderr}`);
  }

  /** What serves it to browsers once it is built, for {@link AppStage.site}: files, under a strict policy, or the bundler itself. */
  async built() {
    const { start } = this.#bundler;
    return start ? { upstream: await this.#serve(start) } : { folders: { "": join(this.#folder, "dist") }, headers: STRICT };
  }

  /** The bundler's development server, for {@link AppStage.site}. */
  async served() {
    return { upstream: await this.#serve(this.#bundler.serve) };
  }

  async #serve(given) {
    await this.#server?.stop();
    this.#server = new Child(...this.#command(given), { cwd: this.#folder, env: QUIET });
    const [, origin] = await this.#server.line(/(http:\/\/(?:127\.0\.0\.1|localhost):\d+)/, { within: 60_000 });
    return origin;
  }

  async remove() {
    await this.#server?.stop();
    await this.#app.remove();
  }
}
