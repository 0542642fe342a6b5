// A connection that a mediasoup-client transport sends video to, and speaks with in the parameters of mediasoup's server (ORTC).
// Runs in the page.
import { until } from "/harness/call.mjs";
import { show } from "/harness/kept-call.mjs";

/** What a mediasoup router with VP8 alone would tell a client. */
export const RTP_CAPABILITIES = {
  codecs: [{
    kind: "video",
    mimeType: "video/VP8",
    clockRate: 90000,
    preferredPayloadType: 96,
    parameters: {},
    rtcpFeedback: [{ type: "nack" }, { type: "nack", parameter: "pli" }, { type: "ccm", parameter: "fir" }, { type: "goog-remb" }],
  }],
  headerExtensions: [],
};

const value = (sdp, name) => new RegExp(`^a=${name}:(.*)\\r$`, "m").exec(sdp)?.[1];
const lines = (sdp, pattern) => sdp.split("\r\n").filter((line) => pattern.test(line));

const iceParameters = (sdp) => ({ usernameFragment: value(sdp, "ice-ufrag"), password: value(sdp, "ice-pwd") });

// To a client they are a server's own: mediasoup-client passes no related address on, without which Firefox takes no other kind.
function iceCandidates(sdp) {
  return lines(sdp, /^a=candidate:\S+ 1 udp /i).map((line) => {
    const [foundation, , , priority, address, port] = line.slice("a=candidate:".length).split(" ");
    return { foundation, protocol: "udp", priority: Number(priority), ip: address, address, port: Number(port), type: "host" };
  });
}

function dtlsParameters(sdp) {
  const [algorithm, fingerprint] = value(sdp, "fingerprint").split(" ");
  return { role: "auto", fingerprints: [{ algorithm, value: fingerprint }] };
}

export class MediasoupEnd {
  /** The client's connection. */
  client;
  #dtls;
  #rtp;

  static async open(configuration) {
    const end = new MediasoupEnd();
    end.pc = new RTCPeerConnection(configuration);
    end.pc.addEventListener("track", ({ track }) => show(new MediaStream([track])));
    const transceiver = end.pc.addTransceiver("video", { direction: "recvonly" });
    transceiver.setCodecPreferences(RTCRtpReceiver.getCapabilities("video").codecs.filter(({ mimeType }) => mimeType === "video/VP8"));
    const sdp = await end.#offer();
    /** What a server answers the wish for a transport with. */
    end.parameters = { id: "transport", iceParameters: iceParameters(sdp), iceCandidates: iceCandidates(sdp), dtlsParameters: dtlsParameters(sdp) };
    return end;
  }

  // Makes an offer of this end, with all candidates in it.
  async #offer() {
    const gathered = new Promise((resolve) => {
      this.pc.onicecandidate = ({ candidate }) => candidate ?? resolve();
    });
    await this.pc.setLocalDescription();
    await gathered;
    return this.pc.localDescription.sdp;
  }

  // Takes the client's parameters as the answer to it, and one of its candidates at least: this end's relay lets nobody else in.
  async #answer() {
    const client = await until(() => this.client().localDescription.sdp.includes("\r\na=candidate:") && this.client().localDescription.sdp, "a candidate", 10_000);
    const { usernameFragment, password } = iceParameters(client);
    const [fingerprint] = this.#dtls.fingerprints;
    const [encoding] = this.#rtp.encodings;
    const sdp = this.pc.localDescription.sdp
      .replace(/^a=(candidate|end-of-candidates|extmap|ssrc|msid).*\r\n/gm, "")
      .replace("a=recvonly", "a=sendonly")
      .replace("a=setup:actpass", `a=setup:${this.#dtls.role === "client" ? "active" : "passive"}`)
      .replace(/^a=fingerprint:.*/gm, `a=fingerprint:${fingerprint.algorithm} ${fingerprint.value}`)
      .replace(/^a=ice-ufrag:.*/gm, `a=ice-ufrag:${usernameFragment}`)
      .replace(/^a=ice-pwd:.*/gm, `a=ice-pwd:${password}`);
    const more = [`a=ssrc:${encoding.ssrc} cname:${this.#rtp.rtcp.cname}`, ...lines(client, /^a=candidate:/)];
    await this.pc.setRemoteDescription({ type: "answer", sdp: `${sdp}${more.join("\r\n")}\r\n` });
  }

  async connect({ dtlsParameters }) {
    this.#dtls = dtlsParameters;
  }

  async produce({ rtpParameters }) {
    this.#rtp = rtpParameters;
    await this.#answer();
    return { id: "producer" };
  }

  /** What an app's server is asked for. */
  async request(method) {
    if (method !== "restartIce") throw new Error(`${method} is not known here`);
    const before = value(this.client().localDescription.sdp, "ice-ufrag");
    this.pc.restartIce();
    const parameters = iceParameters(await this.#offer());
    this.#follow(before);
    return parameters;
  }

  // Takes part in the client's restart. A server keeps its addresses and need not tell them again; a connection gets others.
  async #follow(before) {
    const moved = ({ signalingState, localDescription }) => signalingState === "stable" && value(localDescription.sdp, "ice-ufrag") !== before;
    await until(() => moved(this.client()), "the client's restart", 10_000);
    await this.#answer();
    for (const line of lines(this.pc.localDescription.sdp, /^a=candidate:/)) {
      await this.client().addIceCandidate({ candidate: line.slice("a=".length), sdpMLineIndex: 0 });
    }
  }
}
