// A network that a page can lose: for as long as it is gone, requests of the page fail and the browser's words for it are
// said. A page cannot cut the browser's media off, so the TURN server is asked to be silent for the same time.

import { silenceTurn } from "./backend.js";

/** Events: `change` when it is gone or back. */
export class Network extends EventTarget {
  /** When it comes back by itself, ms since the epoch; `null` while it is there. */
  backAt = null;

  #fetch = null;
  #timer = null;

  /** Goes away for `seconds`. Rejects if the TURN server does not take part. */
  async leave(seconds) {
    await silenceTurn(seconds);
    this.backAt = Date.now() + seconds * 1000;
    this.#fetch = globalThis.fetch;
    globalThis.fetch = () => Promise.reject(new TypeError("The network is switched off on this page."));
    this.#timer = setTimeout(() => this.#back(), seconds * 1000);
    dispatchEvent(new Event("offline"));
    this.dispatchEvent(new Event("change"));
  }

  /** Comes back before its time. */
  async back() {
    if (this.backAt === null) return;
    this.#back();
    await silenceTurn(0);
  }

  #back() {
    clearTimeout(this.#timer);
    globalThis.fetch = this.#fetch;
    this.backAt = null;
    dispatchEvent(new Event("online"));
    this.dispatchEvent(new Event("change"));
  }
}
