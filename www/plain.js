// The call by hand: credentials as apps usually get them. They are fetched once; at most they are fetched again halfway
// through their life and given to `setConfiguration`. Nothing restarts ICE, retries, or looks at the clock after a sleep.

import { CREDENTIALS, refusal } from "./backend.js";

async function fetchServers(ttl) {
  // What stands behind the question mark tells this call's requests from those of turn-wasm on this page.
  const response = await fetch(`${CREDENTIALS}?by=hand`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(ttl === null ? {} : { ttl }),
  });
  if (!response.ok) throw await refusal(response);
  return response.json();
}

/** Events: `refetched` and `refetcherror`, the latter with the error as `detail`. */
export class PlainServers extends EventTarget {
  #connections = [];
  #timer;

  /** `ttl` in seconds, `null` for the backend's own. With `reconfigure` fresh servers go to `setConfiguration`. */
  static async open({ ttl, reconfigure }) {
    const servers = new PlainServers();
    servers.#hold(await fetchServers(ttl));
    if (reconfigure) servers.#timer = setInterval(() => servers.#refetch(ttl), (servers.ttl * 1000) / 2);
    return servers;
  }

  #hold({ iceServers, ttl, expiresAt }) {
    this.iceServers = iceServers;
    this.ttl = ttl;
    this.expiresAt = Date.parse(expiresAt);
    this.username = iceServers.find((server) => server.username)?.username ?? null;
    /** When the next fetch is due, ms since the epoch. */
    this.refetchAt = Date.now() + (ttl * 1000) / 2;
  }

  createPeerConnection(configuration) {
    const pc = new RTCPeerConnection({ ...configuration, iceServers: this.iceServers });
    this.#connections.push(pc);
    return pc;
  }

  async #refetch(ttl) {
    try {
      this.#hold(await fetchServers(ttl));
      for (const pc of this.#connections) {
        if (pc.signalingState !== "closed") pc.setConfiguration({ ...pc.getConfiguration(), iceServers: this.iceServers });
      }
      this.dispatchEvent(new Event("refetched"));
    } catch (error) {
      this.dispatchEvent(new CustomEvent("refetcherror", { detail: error }));
    }
  }

  get refetches() {
    return this.#timer !== undefined;
  }

  close() {
    clearInterval(this.#timer);
  }
}
