// The browsers' back/forward cache: a page that is left is frozen with everything in it, and goes on when the user comes back.

/** A page that may be kept: unlike the others it is not served with `no-store`. */
const HERE = "/back-forward/here";
const AWAY = "/back-forward/away";
const BACK = "/back-forward/back";

const html = (script) => (_request, response) =>
  response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(
    `<!doctype html><title>turn-wasm tests</title><link rel="icon" href="data:,"><script>${script}</script>`,
  );

export class BackForwardCache {
  #site;
  #returned = [];

  constructor(site) {
    this.#site = site;
    site.on(HERE, html(`addEventListener("pageshow", ({ persisted }) => persisted && fetch("${BACK}", { method: "POST" }))`));
    site.on(AWAY, html(`setTimeout(() => history.back(), Number(new URLSearchParams(location.search).get("ms")))`));
    site.on(BACK, (_request, response) => {
      this.#returned.splice(0).forEach((resolve) => resolve());
      response.writeHead(204).end();
    });
  }

  /** The address of a page that is kept. */
  get page() {
    return this.#site.url(HERE);
  }

  /** Leaves `page` for `ms` milliseconds and comes back to it. Rejects if the browser did not keep it. */
  async leave(page, ms, { within = ms + 20_000 } = {}) {
    let timer;
    const back = new Promise((resolve, reject) => {
      this.#returned.push(resolve);
      timer = setTimeout(() => reject(new Error(`the page was not shown again from the back/forward cache within ${within} ms`)), within);
    });
    // The drivers do not see every return, hence a page that goes back by itself and another that tells the server.
    await page.evaluate((address) => {
      setTimeout(() => (location.href = address));
    }, this.#site.url(`${AWAY}?ms=${ms}`));
    await back;
    clearTimeout(timer);
    // Until the driver has noticed as well.
    while (!(await page.evaluate((path) => location.pathname === path, HERE).catch(() => false))) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
