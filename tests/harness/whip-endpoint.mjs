// A WHIP endpoint (RFC 9725) that receives in a page of its own: one resource per offer, answered with all candidates in
// it, and ended by DELETE.

// Runs in the page: takes an offer in and resolves with the answer.
async function answer({ resource, offer, iceServers }) {
  const pc = new RTCPeerConnection({ iceServers, iceTransportPolicy: "relay" });
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

  /** At /whip on a stage's site, for who knows the token. Reachable through the stage's relay alone. */
  static async open({ site, browser, coturn }, token) {
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
      const sdp = await endpoint.#page.evaluate(answer, { resource, offer, iceServers: coturn.iceServers({ ttl: 600 }) });
      site.on(resource, heard(async (request, response) => {
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
