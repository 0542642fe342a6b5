// The basic job in plain JavaScript, as an app would write it by hand with some care: fetch the servers, leave port 53 out
// where the app does not trickle, make connections, and hand fresh servers to them in time. The benchmarks weigh and time
// it beside turn-wasm. It reads one shape of response, knows no ICE restart, no sleep, no revocation and no errors by name.

const MARGIN = 0.25; // of the ttl, left for retries
const PATIENCE = 10_000; // ms that a fetch may take
const LONGEST = 60_000; // ms between two tries

// A port is behind the host, which may be an IPv6 address in brackets.
const port = (url) => /^\w+:(?:\[[^\]]*\]|[^:?]*)(?::(\d+))?/.exec(url)?.[1];

const withoutPort53 = (servers) =>
  servers
    .map((server) => ({ ...server, urls: [server.urls].flat().filter((url) => port(url) !== "53") }))
    .filter(({ urls }) => urls.length > 0);

/** Opens a session: `source` is the credential endpoint, `ttl` in seconds counts where its answer does not say. */
export async function openPlain({ source, ttl = 3600, trickle = true }) {
  const connections = new Set();
  const ended = new AbortController();
  let iceServers;
  let timer;

  async function fetchServers() {
    const sent = Date.now();
    const response = await fetch(source, {
      method: "POST",
      cache: "no-store",
      signal: AbortSignal.any([ended.signal, AbortSignal.timeout(PATIENCE)]),
    });
    if (!response.ok) throw new Error(`the credential endpoint answered with status ${response.status}`);
    const answer = await response.json();
    iceServers = trickle ? answer.iceServers : withoutPort53(answer.iceServers);
    return sent + (answer.ttl ?? ttl) * 1000;
  }

  function apply() {
    for (const weak of connections) {
      const pc = weak.deref();
      if (!pc || pc.signalingState === "closed") connections.delete(weak);
      else pc.setConfiguration({ ...pc.getConfiguration(), iceServers });
    }
  }

  function schedule(expiry) {
    const left = expiry - Date.now();
    timer = setTimeout(refresh, Math.min(left * (1 - MARGIN * (1 + Math.random())), 2 ** 31 - 1));
  }

  async function refresh() {
    for (let wait = 1000; !ended.signal.aborted; wait = Math.min(2 * wait, LONGEST)) {
      try {
        const expiry = await fetchServers();
        apply();
        schedule(expiry);
        return;
      } catch {
        await new Promise((resolve) => (timer = setTimeout(resolve, wait * Math.random())));
      }
    }
  }

  schedule(await fetchServers());
  return {
    createPeerConnection(configuration) {
      const pc = new RTCPeerConnection({ ...configuration, iceServers });
      connections.add(new WeakRef(pc));
      return pc;
    },
    close() {
      ended.abort();
      clearTimeout(timer);
    },
  };
}
