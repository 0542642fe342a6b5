// One end of a call: a connection made by whoever supplies its servers (a session, or plain.js), its numbered messages, and what is known of its relays.

import { negotiate } from "./negotiation.js";
import { Numbers } from "./numbers.js";
import { selectedPair } from "./pair.js";

export class End {
  restarts = 0;
  /** `null` until the data channel is there. */
  numbers = null;

  #signalling;
  /** TURN username by relayed address. */
  #relays = new Map();
  #gatheringUsername = null;

  /** `relayed` keeps every path off the local network, so that nothing but the relay can carry the call. */
  constructor(name, supply, signalling, { polite, onerror }) {
    this.name = name;
    this.#signalling = signalling;
    this.pc = supply.createPeerConnection({ iceTransportPolicy: "relay" });
    negotiate(this.pc, signalling, { polite, onerror });
    this.#watchRelays();
  }

  /** The end that has the channel first makes it; the other takes it from its `datachannel` event. */
  makeChannel() {
    this.numbers = new Numbers(this.pc.createDataChannel("numbers"));
  }

  awaitChannel() {
    this.pc.addEventListener("datachannel", ({ channel }) => {
      this.numbers = new Numbers(channel);
    });
  }

  // A relay belongs to the username that was configured when its gathering began. Statistics do not tell.
  #watchRelays() {
    const { pc } = this;
    pc.addEventListener("icegatheringstatechange", () => {
      if (pc.iceGatheringState === "gathering") this.#gatheringUsername = usernameOf(pc);
    });
    pc.addEventListener("icecandidate", ({ candidate }) => {
      if (candidate?.type === "relay") {
        this.#relays.set(`${candidate.address}:${candidate.port}`, this.#gatheringUsername ?? usernameOf(pc));
      }
    });
  }

  /** The path in use: `{type, protocol, remoteType, username}`, or `null` while there is none. */
  async path() {
    const pair = await selectedPair(this.pc);
    if (!pair?.local || !pair.remote) return null;
    const { local, remote } = pair;
    return {
      type: local.candidateType,
      protocol: local.relayProtocol ?? local.protocol,
      remoteType: remote.candidateType,
      username: this.#relays.get(`${local.address}:${local.port}`) ?? null,
    };
  }

  close() {
    this.numbers?.stop();
    this.pc.close();
    this.#signalling.close();
  }
}

function usernameOf(pc) {
  return pc.getConfiguration().iceServers.find((server) => server.username)?.username ?? null;
}
