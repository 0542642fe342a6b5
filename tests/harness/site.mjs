// A small HTTP server on loopback: folders served as they are or what another server has, and endpoints that a test writes itself.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { extname, join, normalize, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { passOn, passOnSocket } from "./proxy.mjs";

/** Where the harness, the demo page and the built package (TURN_WASM_PACKAGE, default pkg/) are served by {@link Site} and by the demo server's mounts. */
export const FOLDERS = {
  "/harness": fileURLToPath(new URL(".", import.meta.url)),
  "/pkg": process.env.TURN_WASM_PACKAGE || fileURLToPath(new URL("../../pkg/", import.meta.url)),
  "/www": fileURLToPath(new URL("../../www/", import.meta.url)),
};

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".wasm": "application/wasm",
  ".json": "application/json",
};

const CORS = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "GET, POST",
  "access-control-allow-headers": "*",
};

export class Site {
  #server;
  #routes = new Map();
  #sockets = new Set();
  #headers;
  #delay;
  #scheme;

  /**
   * `folders`: by their paths on the site. `headers`: of everything that lies in them; `delay`: ms until it is sent. `upstream`: the origin of a server that has
   * everything but the endpoints, in the place of folders. `certificate`: `{key, cert}` in PEM, for https.
   */
  static async start({ folders = FOLDERS, port = 0, headers = { "cache-control": "no-store" }, delay = 0, upstream = null, certificate = null } = {}) {
    const site = new Site();
    site.#headers = headers;
    site.#delay = delay;
    site.#scheme = certificate ? "https" : "http";
    const create = certificate ? (listener) => createSecureServer(certificate, listener) : createServer;
    site.#server = create((request, response) => {
      if (upstream && !site.#routes.has(new URL(request.url, site.origin).pathname)) {
        passOn(request, response, upstream);
        return;
      }
      site.#answer(request, response, folders).catch((error) => {
        if (!response.headersSent) response.writeHead(500, { "content-type": "text/plain" });
        response.end(String(error));
      });
    });
    site.#server.on("connection", (socket) => {
      site.#sockets.add(socket);
      socket.once("close", () => site.#sockets.delete(socket));
    });
    if (upstream) site.#server.on("upgrade", (request, socket, head) => passOnSocket(request, socket, head, upstream));
    await new Promise((resolve, reject) => site.#server.once("error", reject).listen(port, "127.0.0.1", resolve));
    return site;
  }

  get origin() {
    return `${this.#scheme}://127.0.0.1:${this.#server.address().port}`;
  }

  url(path) {
    return new URL(path, this.origin).href;
  }

  /** An empty page to run tests in. */
  get page() {
    return this.url("/harness/page.html");
  }

  /** `handler(request, response, body)` answers `path` from now on; every origin may ask. */
  on(path, handler) {
    this.#routes.set(path, handler);
  }

  /** Answers `path` with what `make()` returns, as JSON. */
  json(path, make, status = 200) {
    this.on(path, async (request, response, body) => {
      const value = await make({ request, body });
      response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
      response.end(JSON.stringify(value));
    });
  }

  async #answer(request, response, folders) {
    const { pathname } = new URL(request.url, this.origin);
    const handler = this.#routes.get(pathname);
    if (handler) {
      for (const [name, value] of Object.entries(CORS)) response.setHeader(name, value);
      if (request.method === "OPTIONS") {
        response.writeHead(204).end();
        return;
      }
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      await handler(request, response, Buffer.concat(chunks).toString());
      return;
    }
    for (const [prefix, folder] of Object.entries(folders)) {
      if (!pathname.startsWith(`${prefix}/`)) continue;
      const file = normalize(join(folder, decodeURIComponent(pathname.slice(prefix.length + 1))));
      if (!file.startsWith(normalize(folder.endsWith(sep) ? folder : folder + sep))) break;
      try {
        const bytes = await readFile(file);
        if (this.#delay) await new Promise((resolve) => setTimeout(resolve, this.#delay));
        response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream", ...this.#headers });
        response.end(bytes);
        return;
      } catch {
        break;
      }
    }
    response.writeHead(404, { "content-type": "text/plain" }).end("not found");
  }

  async stop() {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  [Symbol.asyncDispose]() {
    return this.stop();
  }
}
