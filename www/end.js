// One end of a call: a connection made by whoever supplies its servers (a session, or plain.js), its numbered messages, and
// what is known of its relays.

import { negotiate } from "./negotiation.js";
import { Numbers } from "./numbers.js";
import { selectedPair } from "./pair.js";
import { WholeDescriptions } from "./whole.js";

export class End {
  restarts = 0;
  /** `null` until the data channel is there. */
  numbers = null;
  /** When the first gathering gave a relay, and when its description could be sent without trickle ICE: ms after it began. */
  gathering = { relay: null, sent: null };

  #signalling;
  /** TURN username by relayed address. */
  #relays = new Map();
  #gatheringUsername = null;
  #gatheringSince = null;

  /**
   * `relayOnly` keeps every path off the local network, so that nothing but the relay can carry the call. Without trickle ICE,
   * `gathered(pc)` resolves with the description that is to be sent.
   */
  constructor(name, supply, signalling, { polite, onerror, relayOnly, gathered }) {
    this.name = name;
    this.pc = supply.createPeerConnection({ iceTransportPolicy: relayOnly ? "relay" : "all" });
    this.#signalling = gathered ? this.#withoutTrickle(signalling, gathered, onerror) : signalling;
    negotiate(this.pc, this.#signalling, { polite, onerror });
    this.#watchRelays();
  }

  #withoutTrickle(signalling, gathered, onerror) {
    const whole = new WholeDescriptions(signalling, this.pc, async (pc) => {
      const description = await gathered(pc);
      this.gathering.sent ??= performance.now() - this.#gatheringSince;
      return description;
    });
    whole.addEventListener("error", ({ detail }) => onerror(detail));
    return whole;
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
      if (pc.iceGatheringState !== "gathering") return;
      this.#gatheringUsername = usernameOf(pc);
      this.#gatheringSince ??= performance.now();
    });
    pc.addEventListener("icecandidate", ({ candidate }) => {
      if (candidate?.type === "relay") {
        this.gathering.relay ??= performance.now() - this.#gatheringSince;
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
