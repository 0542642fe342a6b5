// A credential endpoint that misbehaves, on another origin than the page.
import { Site } from "./site.mjs";

/** Never to be seen in an error, an event or a state. */
export const SECRETS = {
  username: "f00dfacef00dfacef00dfacef00dface-the-whole-username",
  credential: "hunter2-hunter2-hunter2-the-credential",
};

/** A response without fault; `change` edits it. */
export function goodResponse(change = (response) => response) {
  return change({
    iceServers: [
      { urls: ["stun:127.0.0.1:3478"] },
      { urls: ["turn:127.0.0.1:3478?transport=udp", "turn:127.0.0.1:3478?transport=tcp"], ...SECRETS },
    ],
    ttl: 600,
  });
}

/** Answers with a status and a body. */
export function answer(status, body, type = "application/json") {
  return (response) => response.writeHead(status, { "content-type": type, "cache-control": "no-store" }).end(body);
}

/** Answers 201 with what `change` makes of the good response. */
export function answerJson(change) {
  return answer(201, JSON.stringify(goodResponse(change)));
}

/** Sends a byte now and then, and never the last. */
export function neverEnd(response) {
  response.writeHead(201, { "content-type": "application/json" });
  const timer = setInterval(() => response.write(" "), 50);
  response.once("close", () => clearInterval(timer));
}

export class FaultyBackend {
  #sites = new Set();

  /** Each endpoint has an origin of its own: browsers let requests to one origin wait for each other. */
  async #site() {
    const site = await Site.start();
    this.#sites.add(site);
    return site;
  }

  /** The address of an endpoint that answers well `good` times, and then as `fault(response)` does. */
  async endpoint(fault, { good = 0 } = {}) {
    const site = await this.#site();
    let left = good;
    site.on("/credentials", (_request, response) => (left-- > 0 ? answerJson()(response) : fault(response)));
    return site.url("/credentials");
  }

  /** The same, and then nothing listens there any more. */
  async vanishingEndpoint({ good = 0 } = {}) {
    const site = await this.#site();
    const address = site.url("/credentials");
    const vanish = async () => {
      this.#sites.delete(site);
      await site.stop();
    };
    if (good === 0) await vanish();
    let left = good;
    site.on("/credentials", (_request, response) => {
      if (--left === 0) response.once("finish", () => setImmediate(vanish));
      response.setHeader("connection", "close");
      answerJson()(response);
    });
    return address;
  }

  async stop() {
    await Promise.all([...this.#sites].map((site) => site.stop()));
  }

  [Symbol.asyncDispose]() {
    return this.stop();
  }
}
