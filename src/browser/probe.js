// Tries servers on a connection of their own, which is closed afterwards.

// How many connections there are at once. Cloudflare's list has eight URLs.
const AT_ONCE = 8;

const REFUSED = "the server refused the credential";

const REASONS = {
  0: "gathering ended without a candidate: the browser skips this port, or nothing answered",
  401: REFUSED,
  403: REFUSED,
  701: "the server did not answer",
};

/**
 * Gathers until there is a candidate of the type `wanted`. Resolves with that type, else with null, a code and a reason,
 * within `timeout` ms; rejects if the browser refuses the servers.
 */
async function gather(iceServers, wanted, timeout) {
  let pc;
  let timer;
  try {
    pc = new RTCPeerConnection({ iceServers, iceTransportPolicy: wanted === "relay" ? "relay" : "all" });
    return await new Promise((resolve, reject) => {
      let code = 0;
      let host = null;
      const end = (message = REASONS[code] ?? "the server answered with an error") => resolve([null, code, message]);
      pc.onicecandidate = ({ candidate }) => {
        if (candidate?.type === wanted) resolve([wanted]);
        else if (candidate?.type === "host") host = "host";
        // Firefox leaves out a reflexive candidate that is the host candidate over again.
        else if (!candidate) host && !code ? resolve([host]) : end();
      };
      pc.onicecandidateerror = ({ errorCode }) => {
        code = errorCode;
        // One interface, or one server of several, without an answer: another one may have it.
        if (code !== 701) end();
      };
      timer = setTimeout(end, timeout, "nothing came within the timeout: a firewall, a port that the browser blocks, or no server there");
      pc.createDataChannel("");
      pc.setLocalDescription().catch(reject);
    });
  } finally {
    clearTimeout(timer);
    pc?.close();
  }
}

/** The result for one server with one URL: resolves in any case, within `timeout` ms. */
async function probe(server, timeout) {
  const began = performance.now();
  const [candidateType, code, message] = await gather([server], server.credential === undefined ? "srflx" : "relay", timeout).catch(
    (error) => [null, 0, `the browser refused this URL: ${error.message}`],
  );
  return {
    url: server.urls[0],
    ok: !message,
    ms: performance.now() - began,
    candidateType,
    error: message ? { code, message } : null,
  };
}

/** The results for each URL of these servers, in their order, within `timeout` ms. */
export async function probeAll(servers, timeout) {
  const until = performance.now() + timeout;
  const untried = servers.flatMap((server) => server.urls.map((url) => ({ ...server, urls: [url] })));
  const results = [];
  while (untried.length) {
    // What is left is shared out evenly, so that URLs without an answer do not keep the last ones from being tried.
    const share = (until - performance.now()) / Math.ceil(untried.length / AT_ONCE);
    results.push(...(await Promise.all(untried.splice(0, AT_ONCE).map((server) => probe(server, share)))));
  }
  return results;
}

/** Whether one of these servers gives a relay: 0 for that, else the code of what came instead. */
export async function prove(iceServers, timeout) {
  // Where there is no connection left to try with, the restart itself must show.
  const [, code, message] = await gather(iceServers, "relay", timeout).catch(() => []);
  return message ? code || 701 : 0;
}
