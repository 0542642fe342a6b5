// A call whose connections the package keeps supplied. Runs in the page.
import { openTurnSession } from "/pkg/index.js";
import { Call, selectedPair } from "./call.mjs";

export const EVENTS = [
  "refreshed", "refresherror", "expired", "applied", "applyerror", "restarting", "restarted", "restartstalled",
  "connectionlost", "warning", "ttlassumed", "statechange", "closed",
];

/** An event's detail as plain data; a connection becomes its end's number. */
function plain(detail, connections) {
  if (detail === null || typeof detail !== "object") return detail;
  return Object.fromEntries(
    Object.entries(detail).map(([name, value]) => {
      if (name === "connection") return [name, connections.indexOf(value)];
      if (value instanceof Error) return [name, { code: value.code, message: value.message, status: value.status }];
      return [name, value];
    }),
  );
}

/** Everything a session says, in order: `{at, session, type, detail}`, `at` in ms since the epoch. */
export function listen(sessions, connections = []) {
  const heard = [];
  sessions.forEach((session, index) => {
    for (const type of EVENTS) {
      session.addEventListener(type, ({ detail }) => heard.push({ at: Date.now(), session: index, type, detail: plain(detail, connections) }));
    }
  });
  return heard;
}

/** The TURN username a session serves at the moment. */
export function turnUsername(session) {
  return session.iceServers.find((server) => server.username)?.username ?? null;
}

/** The provider takes back the credential that a session serves at the moment. */
export async function revokeCredential(session) {
  const response = await fetch("/api/demo/revoke", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ username: turnUsername(session) }),
  });
  if (response.status !== 204) throw new Error(`revoking: ${response.status}`);
}

export class SdkCall {
  /** Usernames served so far, whole. */
  usernames = [];
  /** Where the selected pairs were: `{at, end, type, port}`, `at` in ms since the epoch, `port` that of the relay. */
  pairs = [];
  #sampling = null;

  /**
   * `shared`: one session for both ends, else one each. `options`: for `openTurnSession`; `second`: those of end 1's own
   * session, if they differ. `configuration`: for the connections; relay-only unless it says otherwise. `call`: for
   * {@link Call}.
   */
  static async open({ shared = true, options, second = options, configuration = {}, call = {} }) {
    const self = new SdkCall();
    self.sessions = [await openTurnSession(options)];
    if (!shared) self.sessions.push(await openTurnSession(second));
    const connections = [0, 1].map((index) =>
      self.sessions[shared ? 0 : index].createPeerConnection({ iceTransportPolicy: "relay", ...configuration }),
    );
    self.heard = listen(self.sessions, connections);
    for (const session of self.sessions) {
      self.usernames.push(turnUsername(session));
      session.addEventListener("refreshed", () => self.usernames.push(turnUsername(session)));
    }
    self.call = new Call(connections, call);
    await self.call.start();
    return self;
  }

  /** Notes the selected pairs every `interval` ms. */
  sample(interval = 500) {
    this.#sampling = setInterval(async () => {
      for (const { pc, index } of this.call.ends) {
        const selected = await selectedPair(pc);
        if (selected?.local) {
          this.pairs.push({ at: Date.now(), end: index, type: selected.local.candidateType, port: selected.local.port });
        }
      }
    }, interval);
  }

  /** Ends it, and says how it went. */
  async finish() {
    clearInterval(this.#sampling);
    const ends = await this.call.stop();
    const states = this.sessions.map((session) => ({ ...session.state, lastError: session.state.lastError?.message ?? null }));
    for (const session of this.sessions) await session.close();
    this.call.close();
    return {
      ends,
      states,
      heard: this.heard,
      usernames: this.usernames,
      pairs: this.pairs,
      events: this.call.events,
    };
  }
}
