// An app that has installed the package: packed as for the registry, and installed from the tarball into a folder that goes
// when the app is done with.
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { FOLDERS } from "./site.mjs";

const run = promisify(execFile);

const PACKAGES = fileURLToPath(new URL("../node_modules", import.meta.url));

export class App {
  /** `files`: what the app is made of, by path. `packages`: folders in tests/node_modules, by the names that the app has them under. */
  static async install(files = {}, packages = {}) {
    const app = new App();
    app.folder = await mkdtemp(join(tmpdir(), "turn-wasm-app-"));
    try {
      const { stdout } = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", app.folder], { cwd: FOLDERS["/pkg"] });
      const [packed] = JSON.parse(stdout);
      app.tarball = join(app.folder, packed.filename);
      app.packed = packed;
      await app.write("package.json", JSON.stringify({ private: true, type: "module" }));
      await run("npm", ["install", "--offline", "--ignore-scripts", "--no-audit", "--no-fund", app.tarball], { cwd: app.folder });
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
