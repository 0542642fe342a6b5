// Somebody who has loaded a page of the demo backend, and so has a session there. An app's own backend is one, too, when it
// hands out what the demo backend mints.
export class DemoSession {
  #origin;
  #cookie = null;

  /** `origin`: that of the demo backend. */
  constructor(origin) {
    this.#origin = origin;
  }

  /** Sends a POST request as such a page would. `body`: JSON as text. */
  async ask(path, body) {
    if (!this.#cookie) {
      const page = await fetch(new URL("/harness/page.html", this.#origin));
      this.#cookie = page.headers.getSetCookie().map((line) => line.split(";", 1)[0]).join("; ");
    }
    const headers = { cookie: this.#cookie, ...(body && { "content-type": "application/json" }) };
    return await fetch(new URL(path, this.#origin), { method: "POST", headers, body: body || undefined });
  }
}
