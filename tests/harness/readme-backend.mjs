// The README's backends, run as they are printed: what they leave to the app is the sign-in, and here whoever names a user is
// that user. Both kinds have `ask(path, {user, method, body, text})` -> `{status, headers, text}` and `stop()`.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Child } from "./children.mjs";
import { printed } from "./markdown.mjs";

/** Runs before the printed code: the sign-in, and a port that the system chooses, on loopback only. */
const SURROUNDINGS = `
import { Server } from "node:net";
globalThis.authenticate = async (request) => request.headers["x-user"] ?? null;
const { listen } = Server.prototype;
Server.prototype.listen = function () {
  return listen.call(this, 0, "127.0.0.1", () => console.log("listening on", this.address().port));
};
`;

async function folderWith(files) {
  const folder = await mkdtemp(join(tmpdir(), "turn-wasm-readme-"));
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  return folder;
}

function request({ user, method = "POST", body, text = JSON.stringify(body) }) {
  return { method, body: text, headers: { "content-type": "application/json", ...(user && { "x-user": user }) } };
}

async function read(response) {
  return { status: response.status, headers: Object.fromEntries(response.headers), text: await response.text() };
}

class NodeBackend {
  static async start(environment) {
    const backend = new NodeBackend();
    backend.folder = await folderWith({ "surroundings.mjs": SURROUNDINGS, "backend.mjs": await printed("README.md", "js", "Node") });
    const surroundings = pathToFileURL(join(backend.folder, "surroundings.mjs")).href;
    backend.child = new Child(process.execPath, ["--import", surroundings, "backend.mjs"], { cwd: backend.folder, env: environment });
    try {
      backend.origin = `http://127.0.0.1:${(await backend.child.line(/^listening on (\d+)$/, { within: 60_000 })).at(1)}`;
    } catch (error) {
      await backend.stop();
      throw error;
    }
    return backend;
  }

  /** What the program printed. */
  get log() {
    return this.child.log;
  }

  async ask(path, options) {
    return read(await fetch(this.origin + path, request(options)));
  }

  async stop() {
    await this.child.stop();
    await rm(this.folder, { recursive: true });
  }
}

/** A KV namespace of Cloudflare Workers, as far as it is used. */
class Namespace {
  #values = new Map();

  async get(key) {
    if (typeof key !== "string") throw new TypeError("a key is a string");
    return this.#values.get(key) ?? null;
  }

  async put(key, value, { expirationTtl }) {
    if (!(expirationTtl >= 60)) throw new RangeError("expirationTtl is 60 seconds at least");
    this.#values.set(key, value);
  }
}

class WorkerBackend {
  log = "";

  static async start(environment) {
    globalThis.authenticate = async (request) => request.headers.get("x-user");
    const backend = new WorkerBackend();
    backend.folder = await folderWith({ "worker.mjs": await printed("README.md", "js", "Cloudflare Worker") });
    backend.worker = (await import(pathToFileURL(join(backend.folder, "worker.mjs")).href)).default;
    backend.environment = { ...environment, OWNERS: new Namespace() };
    return backend;
  }

  async ask(path, options) {
    return read(await this.worker.fetch(new Request(`https://app.example${path}`, request(options)), this.environment));
  }

  async stop() {
    await rm(this.folder, { recursive: true });
  }
}

export const README_BACKENDS = { Node: NodeBackend, "Cloudflare Worker": WorkerBackend };
