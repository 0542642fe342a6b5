// Tries one URL on its own, with a connection that is closed afterwards.

const REASONS = {
  401: "the server refused the credential",
  403: "the server refused the credential",
  701: "the server did not answer",
};

/** The result for one server with one URL: resolves in any case, within `timeout` ms. */
export async function probe(server, timeout) {
  const wanted = server.credential === undefined ? "srflx" : "relay";
  const began = performance.now();
  const result = (ok, code, message) => ({
    url: server.urls[0],
    ok,
    ms: performance.now() - began,
    candidateType: ok ? wanted : null,
    error: ok ? null : { code, message },
  });
  let pc;
  let timer;
  try {
    pc = new RTCPeerConnection({ iceServers: [server], iceTransportPolicy: wanted === "relay" ? "relay" : "all" });
    const heard = new Promise((resolve) => {
      pc.onicecandidate = ({ candidate }) => {
        if (candidate?.type === wanted) resolve(result(true));
        else if (!candidate) resolve(result(false, 0, "gathering ended without a candidate: the browser skips this port, or nothing answered"));
      };
      pc.onicecandidateerror = ({ errorCode }) =>
        resolve(result(false, errorCode, REASONS[errorCode] ?? "the server answered with an error"));
      timer = setTimeout(() => resolve(result(false, 0, "nothing came within the timeout: a firewall, or no server there")), timeout);
    });
    pc.createDataChannel("");
    await pc.setLocalDescription();
    return await heard;
  } catch (error) {
    return result(false, 0, `the browser refused this URL: ${error.message}`);
  } finally {
    clearTimeout(timer);
    pc?.close();
  }
}
