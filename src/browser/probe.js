// Tries servers on a connection of their own, which is closed afterwards.

const REASONS = {
  401: "the server refused the credential",
  403: "the server refused the credential",
  701: "the server did not answer",
};

/**
 * Gathers until there is a candidate of the type `wanted`: resolves with nothing then, else with a code and a reason, within
 * `timeout` ms; rejects if the browser refuses the servers. `patient`: a URL without an answer does not end it, another one may have one.
 */
async function gather(iceServers, wanted, timeout, patient) {
  let pc;
  let timer;
  try {
    pc = new RTCPeerConnection({ iceServers, iceTransportPolicy: wanted === "relay" ? "relay" : "all" });
    const heard = new Promise((resolve) => {
      const fail = (...why) => resolve(why);
      pc.onicecandidate = ({ candidate }) => {
        if (candidate?.type === wanted) resolve([]);
        else if (!candidate) fail(0, "gathering ended without a candidate: the browser skips this port, or nothing answered");
      };
      pc.onicecandidateerror = ({ errorCode }) =>
        (patient && errorCode === 701) || fail(errorCode, REASONS[errorCode] ?? "the server answered with an error");
      timer = setTimeout(fail, timeout, 0, "nothing came within the timeout: a firewall, or no server there");
    });
    pc.createDataChannel("");
    await pc.setLocalDescription();
    return await heard;
  } finally {
    clearTimeout(timer);
    pc?.close();
  }
}

/** The result for one server with one URL: resolves in any case, within `timeout` ms. */
export async function probe(server, timeout) {
  const wanted = server.credential === undefined ? "srflx" : "relay";
  const began = performance.now();
  const [code, message] = await gather([server], wanted, timeout).catch((error) =>
    [0, `the browser refused this URL: ${error.message}`]);
  const ok = !message;
  return {
    url: server.urls[0],
    ok,
    ms: performance.now() - began,
    candidateType: ok ? wanted : null,
    error: ok ? null : { code, message },
  };
}

/** Whether one of these servers gives a relay: 0 for that, else the code of what came instead. */
export async function prove(iceServers, timeout) {
  // Where there is no connection left to try with, the restart itself must show.
  const [code, message] = await gather(iceServers, "relay", timeout, true).catch(() => []);
  return message ? code || 701 : 0;
}
