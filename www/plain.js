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

/** What TURN URLs say of their transport, RFC 7065 section 3.1: `turns:` is TLS, else `?transport=`, else UDP. */
function transportOf(url) {
  if (url.startsWith("turns:")) return "tls";
  return /[?&]transport=(\w+)/.exec(url)?.[1] ?? "udp";
}

/** The answer with TURN URLs of these transports alone, so that both calls use the same. */
function only(transports, answer) {
  if (transports === null) return answer;
  const fits = (url) => !url.startsWith("turn") || transports.includes(transportOf(url));
  const iceServers = answer.iceServers.map((server) => ({ ...server, urls: [server.urls].flat().filter(fits) }));
  return { ...answer, iceServers: iceServers.filter(({ urls }) => urls.length > 0) };
}

/** Events: `refetched` and `refetcherror`, the latter with the error as `detail`. */
export class PlainServers extends EventTarget {
  #connections = [];
  #timer;

  /**
   * `ttl` in seconds, `null` for the backend's own; `transports` as in turn-wasm, `null` for all. With `reconfigure` fresh
   * servers go to `setConfiguration`.
   */
  static async open({ ttl, transports, reconfigure }) {
    const servers = new PlainServers();
    const ask = async () => servers.#hold(only(transports, await fetchServers(ttl)));
    await ask();
    if (reconfigure) servers.#timer = setInterval(() => servers.#refetch(ask), (servers.ttl * 1000) / 2);
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

  async #refetch(ask) {
    try {
      await ask();
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
