// The same call in plain JavaScript, the way apps do it today. Runs in the page.
import { Call } from "./call.mjs";

export class PlainCall {
  refreshes = 0;
  #timer = null;

  /**
   * `fetchServers()` resolves with `{iceServers, ttl}`. Halfway through each credential's life both connections get fresh
   * servers through `setConfiguration`, and nothing else. `idle`: not even that. `configuration`: for the connections.
   */
  static async open({ fetchServers, idle = false, configuration = {}, call = {} }) {
    const self = new PlainCall();
    const { iceServers, ttl } = await fetchServers();
    const connections = [0, 1].map(() => new RTCPeerConnection({ iceServers, iceTransportPolicy: "relay", ...configuration }));
    self.call = new Call(connections, call);
    await self.call.start();
    if (idle) return self;
    self.#timer = setInterval(async () => {
      const fresh = await fetchServers();
      self.refreshes++;
      for (const pc of connections) {
        if (pc.signalingState !== "closed") pc.setConfiguration({ ...pc.getConfiguration(), iceServers: fresh.iceServers });
      }
    }, (ttl * 1000) / 2);
    return self;
  }

  /** Ends it, and says how it went. */
  async finish() {
    clearInterval(this.#timer);
    const ends = this.call.report();
    this.call.close();
    return { ends, refreshes: this.refreshes, events: this.call.events };
  }
}
