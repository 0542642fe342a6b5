// WebKit as Debian has it: MiniBrowser on a display that nobody sees, driven with WebDriver. WEBKIT_DRIVER and XVFB name the
// programs; where there are none, `missing` says so.
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { Child } from "./children.mjs";

const DRIVER = process.env.WEBKIT_DRIVER || "/usr/bin/WebKitWebDriver";
const DISPLAY = process.env.XVFB || "/usr/bin/Xvfb";

const absent = [DRIVER, DISPLAY].filter((program) => !existsSync(program));

/** Why there is no WebKit here, for a test's `skip`; `false` where there is. */
export const missing = absent.length > 0 && `${absent.join(" and ")} not found: Debian has them in webkit2gtk-driver and xvfb`;

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** What `ask` resolves with, asked again for as long as it rejects. */
async function until(ask, within) {
  for (const deadline = Date.now() + within; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
    try {
      return await ask();
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
}

export class WebKit {
  #children = [];
  #origin;
  #session;

  static async open() {
    const webkit = new WebKit();
    try {
      await webkit.#start();
    } catch (error) {
      await webkit.close();
      throw error;
    }
    return webkit;
  }

  async #start() {
    const display = this.#run(DISPLAY, ["-displayfd", "1", "-screen", "0", "800x600x24", "-nolisten", "tcp"]);
    const [number] = await display.line(/^\d+$/);
    const port = await freePort();
    this.#origin = `http://127.0.0.1:${port}`;
    // Its sandbox does not work as root, nor in most containers.
    this.#run(DRIVER, ["--host=127.0.0.1", `--port=${port}`], { DISPLAY: `:${number}`, WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: "1" });
    // It says nothing when it listens.
    await until(() => this.#ask("GET", "/status"), 10_000);
    const { sessionId, capabilities } = await this.#ask("POST", "/session", { capabilities: { alwaysMatch: { acceptInsecureCerts: true } } });
    this.#session = `/session/${sessionId}`;
    this.version = `${capabilities.browserName} ${capabilities.browserVersion}`;
    await this.#ask("POST", `${this.#session}/timeouts`, { script: 30_000, pageLoad: 30_000 });
  }

  #run(program, args, env) {
    const child = new Child(program, args, { env });
    this.#children.push(child);
    return child;
  }

  async #ask(method, path, body) {
    const response = await fetch(new URL(path, this.#origin), { method, body: body && JSON.stringify(body) });
    const { value } = await response.json();
    if (!response.ok) throw new Error(`WebDriver ${method} ${path}: ${value.error}: ${value.message}`);
    return value;
  }

  async load(url) {
    await this.#ask("POST", `${this.#session}/url`, { url });
  }

  /** Runs an async function in the page, and resolves with what it returns. */
  async run(pageFunction, ...args) {
    const script = `
      const done = arguments[arguments.length - 1];
      (${pageFunction})(...[...arguments].slice(0, -1)).then((value) => done({ value }), (error) => done({ error: String(error) }));
    `;
    const { value, error } = await this.#ask("POST", `${this.#session}/execute/async`, { script, args });
    if (error) throw new Error(error);
    return value;
  }

  /** The page's title, once it is one that `wanted` is true of. Nothing runs in the page for it. */
  async title(wanted, { within = 10_000 } = {}) {
    return await until(async () => {
      const title = await this.#ask("GET", `${this.#session}/title`);
      if (!wanted(title)) throw new Error(`the title is ${title}`);
      return title;
    }, within);
  }

  async close() {
    if (this.#session) await this.#ask("DELETE", this.#session).catch(() => {});
    for (const child of this.#children.reverse()) await child.stop();
  }
}
