// An app that has installed the package: packed as for the registry, and installed from the tarball into a folder that goes
// when the app is done with.
import { execFile } from "node:child_process";
import { rmSync } from "node:fs";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { FOLDERS } from "./site.mjs";

const run = promisify(execFile);

const PACKAGES = fileURLToPath(new URL("../node_modules", import.meta.url));

/** A folder with the tarball, and what installing that made of it. Both take npm seconds, so all apps of a test file share it. */
let installed;

async function install() {
  const folder = await mkdtemp(join(tmpdir(), "turn-wasm-installed-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const { stdout } = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], { cwd: FOLDERS["/pkg"] });
  const [packed] = JSON.parse(stdout);
  await writeFile(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  const tarball = join(folder, packed.filename);
  await run("npm", ["install", "--offline", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", tarball], { cwd: folder });
  return { folder, packed };
}

export class App {
  /**
   * `files`: what the app is made of, by path. `packages`: folders in tests/node_modules, by the names that the app has them under.
   * `within`: the folder that the app's own is made in.
   */
  static async install(files = {}, packages = {}, { within = tmpdir() } = {}) {
    const app = new App();
    app.folder = await mkdtemp(join(within, "turn-wasm-app-"));
    try {
      const { folder, packed } = await (installed ??= install());
      await cp(folder, app.folder, { recursive: true });
      app.tarball = app.path(packed.filename);
      app.packed = packed;
      for (const [name, from] of Object.entries(packages)) await cp(join(PACKAGES, from), app.path("node_modules", name), { recursive: true });
      for (const [path, content] of Object.entries(files)) await app.write(path, content);
    } catch (error) {
      await app.remove();
      throw error;
    }
    return app;
  }

  path(...parts) {
    return join(this.folder, ...parts);
  }

  async write(path, content) {
    await mkdir(dirname(this.path(path)), { recursive: true });
    await writeFile(this.path(path), content);
  }

  async remove() {
    await rm(this.folder, { recursive: true, force: true });
  }
}
