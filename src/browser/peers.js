// The connections of a session, held weakly, and what they show of their ICE.

const EVENTS = ["signalingstatechange", "iceconnectionstatechange", "connectionstatechange", "icegatheringstatechange", "icecandidateerror"];

// By the places that engine.rs reads.
const SIGNALING = { stable: 0, "have-local-offer": 1, "have-remote-pranswer": 1, closed: 3 };
const ICE = { new: 0, checking: 1, connected: 2, completed: 2, disconnected: 3, failed: 4 };

const transports = (pc) => [pc.sctp, ...pc.getSenders()].map((user) => user?.transport);

// As engine.rs takes them: all in one number.
function states(pc) {
  // Chromium leaves iceConnectionState at "disconnected" when the connection has failed.
  const failed = pc.connectionState === "failed" && pc.iceConnectionState === "disconnected";
  // Firefox ends the DTLS transport together with ICE, and no restart revives it; Chromium keeps it.
  const lost = transports(pc).some((transport) => ["failed", "closed"].includes(transport?.state));
  return (SIGNALING[pc.signalingState] ?? 2) +
    8 * (failed ? ICE.failed : ICE[pc.iceConnectionState] ?? 0) +
    (pc.iceGatheringState === "gathering" ? 64 : 0) +
    (lost ? 128 : 0);
}

/** What a connection shows now: the states, the two descriptions. */
export const facts = (pc) => [states(pc), pc.localDescription?.sdp ?? "", pc.remoteDescription?.sdp ?? ""];

/** The usernames in a connection's configuration, one a line. */
export const usernames = (pc) => pc.getConfiguration().iceServers?.map(({ username }) => username ?? "").join("\n") ?? "";

/**
 * How the two ends stand to each other, as the core's `Standing` reads it, and the selected candidate pairs, one a line; empty while
 * there is none.
 */
export async function selectedPairs(pc) {
  const lines = [];
  let standing = 0;
  const add = (type, ufrag, id) => lines.push(`${type} ${ufrag ?? ""} ${id}`);
  try {
    // Chromium tells at once, in a hundredth of the time that its statistics take.
    if (globalThis.RTCIceTransport?.prototype.getSelectedCandidatePair) {
      for (const ice of new Set(transports(pc).map((transport) => transport?.iceTransport))) {
        const { local, remote } = ice?.getSelectedCandidatePair() ?? {};
        if (!local) continue;
        // Without what the network and the transport make of a relay's priority.
        standing = local.type === remote.type && (local.priority & 65535) < (remote.priority & 65535);
        if (!pc.remoteDescription.sdp.includes(`ufrag:${remote.usernameFragment ?? ""}`)) {
          (await pc.getStats()).forEach(({ iceRole }) => (standing = iceRole?.length ?? standing));
        }
        add(local.type, local.usernameFragment, local.candidate);
      }
    } else {
      const report = await pc.getStats();
      report.forEach(({ selectedCandidatePairId: id }) => {
        const local = report.get(report.get(id)?.localCandidateId);
        if (local) add(local.candidateType, local.usernameFragment, id);
      });
    }
  } catch {
    // A closed connection may refuse its statistics, and a collected one has none: it has no selected pair.
  }
  return [standing, lines.join("\n")];
}

export class Peers {
  #peers = new Map();
  #ids = new WeakMap();
  #last = 0;
  #listener;

  constructor(listener) {
    this.#listener = listener;
  }

  /** Takes a connection in. `extra`: the app's own servers, which come after ours. */
  add(pc, extra) {
    const id = ++this.#last;
    this.#ids.set(pc, id);
    this.#peers.set(id, { weak: new WeakRef(pc), extra, raises: 0 });
    for (const event of EVENTS) pc.addEventListener(event, this.#listener);
    return id;
  }

  id(pc) {
    return this.#ids.get(pc);
  }

  get(id) {
    return this.#peers.get(id)?.weak.deref();
  }

  raise(id) {
    this.#peers.get(id).raises++;
  }

  /** A connection's servers: these, its own, and what raises its relays: Chromium ranks a relay by the number of TURN URLs that come
   * after its own, and takes no second relay from a URL that comes twice. */
  servers(id, ours) {
    const { extra, raises } = this.#peers.get(id);
    const turn = ours.find(({ credential }) => credential);
    return [...ours, ...extra, ...(turn ? Array(raises).fill({ ...turn, urls: turn.urls[0] }) : [])];
  }

  remove(id) {
    const pc = this.get(id);
    if (pc) {
      this.#ids.delete(pc);
      for (const event of EVENTS) pc.removeEventListener(event, this.#listener);
    }
    this.#peers.delete(id);
  }

  /** All of them. */
  ids() {
    return [...this.#peers.keys()];
  }

  /** Those that are closed or collected: a closed connection tells nobody. */
  gone() {
    return this.ids().filter((id) => {
      try {
        return (this.get(id)?.signalingState ?? "closed") === "closed";
      } catch {
        // A connection of another make may throw anywhere; the others must be looked at all the same.
      }
    });
  }
}
