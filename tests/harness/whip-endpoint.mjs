// A WHIP endpoint (RFC 9725) that receives in a page of its own: one resource per offer, answered with all candidates in
// it, and ended by DELETE. A PATCH brings candidates, or an ICE restart.

// Runs in the page: takes an offer in and resolves with the answer.
async function answer({ resource, offer, configuration }) {
  const pc = new RTCPeerConnection(configuration);
  (window.resources ??= new Map()).set(resource, pc);
  pc.addEventListener("track", ({ track, streams }) => {
    const video = document.createElement("video");
    video.muted = true;
    video.srcObject = streams[0] ?? new MediaStream([track]);
    document.body.append(video);
    video.play().catch(() => {});
  });
  await pc.setRemoteDescription({ type: "offer", sdp: offer });
  await pc.setLocalDescription();
  while (pc.iceGatheringState !== "complete") {
    await new Promise((resolve) => pc.addEventListener("icegatheringstatechange", resolve, { once: true }));
  }
  return pc.localDescription.sdp;
}

// Runs in the page: takes a fragment in (RFC 8840) and resolves with one of its own if it is an ICE restart, else with `null`.
async function patch({ resource, fragment }) {
  const pc = window.resources.get(resource);
  const value = (sdp, name) => new RegExp(`^a=${name}:(.*)\\r$`, "m").exec(sdp)?.[1];
  const usernameFragment = value(fragment, "ice-ufrag");
  const takeCandidates = async () => {
    for (const [, candidate] of fragment.matchAll(/^a=(candidate:.*)\r$/gm)) await pc.addIceCandidate({ candidate, sdpMLineIndex: 0, usernameFragment });
  };
  const { sdp } = pc.currentRemoteDescription;
  if (usernameFragment === value(sdp, "ice-ufrag")) {
    await takeCandidates();
    return null;
  }
  const offer = sdp
    .replace(/^a=(candidate|end-of-candidates).*\r\n/gm, "")
    .replace(/^a=ice-ufrag:.*\r$/gm, `a=ice-ufrag:${usernameFragment}\r`)
    .replace(/^a=ice-pwd:.*\r$/gm, `a=ice-pwd:${value(fragment, "ice-pwd")}\r`);
  const gathered = new Promise((resolve) => (pc.onicecandidate = ({ candidate }) => candidate ?? resolve()));
  await pc.setRemoteDescription({ type: "offer", sdp: offer });
  await takeCandidates();
  await pc.setLocalDescription();
  await gathered;
  const own = pc.localDescription.sdp;
  return own.split("\r\n").filter((line) => /^(a=ice-ufrag|a=ice-pwd|m=|a=mid|a=candidate)/.test(line)).map((line) => `${line}\r\n`).join("");
}

// Runs in the page.
const end = (resource) => {
  window.resources.get(resource)?.close();
  return window.resources.delete(resource);
};

// Runs in the page.
async function framesDecoded(resource) {
  let frames = 0;
  for (const entry of (await window.resources.get(resource).getStats()).values()) {
    if (entry.type === "inbound-rtp") frames += entry.framesDecoded ?? 0;
  }
  return frames;
}

export class WhipEndpoint {
  /** The requests so far: `{method, path, headers, body}`. */
  requests = [];
  #page;

  /** At /whip on a site, for who knows the token. `configuration()`: that of its next connection. */
  static async open({ site, browser }, token, configuration = () => ({})) {
    const endpoint = new WhipEndpoint();
    endpoint.#page = await browser.page(site.page);
    const heard = (handler) => async (request, response, body) => {
      endpoint.requests.push({ method: request.method, path: request.url, headers: request.headers, body });
      if (request.headers.authorization === `Bearer ${token}`) await handler(request, response, body);
      else response.writeHead(401).end();
    };
    site.on("/whip", heard(async (request, response, offer) => {
      if (request.method !== "POST" || request.headers["content-type"] !== "application/sdp") {
        response.writeHead(request.method === "POST" ? 415 : 405).end();
        return;
      }
      const resource = `/whip/${endpoint.requests.length}`;
      const sdp = await endpoint.#page.evaluate(answer, { resource, offer, configuration: configuration() });
      site.on(resource, heard(async (request, response, fragment) => {
        if (request.method === "PATCH") {
          const answer = await endpoint.#page.evaluate(patch, { resource, fragment });
          response.writeHead(answer ? 200 : 204, { "content-type": "application/trickle-ice-sdpfrag" }).end(answer ?? undefined);
          return;
        }
        const known = request.method === "DELETE" && (await endpoint.#page.evaluate(end, resource));
        response.writeHead(known ? 200 : 404).end();
      }));
      response.writeHead(201, { "content-type": "application/sdp", location: resource }).end(sdp);
    }));
    return endpoint;
  }

  /** Of a resource's path, so far. */
  framesDecoded(resource) {
    return this.#page.evaluate(framesDecoded, resource);
  }

  /** What went wrong in its page. */
  get troubles() {
    return this.#page.troubles;
  }
}
