// Three relayed calls side by side, with sound and video, and what becomes of them. Runs in a page of the demo backend.
import { PlainCall } from "/harness/plain-call.mjs";
import { SdkCall } from "/harness/sdk-call.mjs";

/** ms between two looks at the statistics. */
const PACE = 250;

/** When each message arrived at each end, and what the receiver of the media says of them; times in ms since the epoch. */
class Recorder {
  arrivals = [[], []];
  media = [];
  #timer;

  constructor({ ends }) {
    for (const { channel, index } of ends) {
      channel.addEventListener("message", () => this.arrivals[index].push(performance.timeOrigin + performance.now()));
    }
    const receiver = ends[1].pc;
    this.#timer = setInterval(async () => {
      const at = Date.now();
      const said = { at };
      for (const { type, kind, ...entry } of (await receiver.getStats()).values()) {
        if (type !== "inbound-rtp") continue;
        const names =
          kind === "audio" ? ["concealedSamples", "totalSamplesReceived"] : ["freezeCount", "totalFreezesDuration", "framesDecoded"];
        for (const name of names) said[name] = entry[name] ?? null;
      }
      this.media.push(said);
    }, PACE);
  }

  stop() {
    clearInterval(this.#timer);
  }
}

/** As docs/guide.md advises for many restarts of one connection: each URL, and each transport, slows Firefox down at every later one. So
 * there is one of each, and a data channel alone makes it, for which Firefox needs no second relay for RTCP. */
const configuration = { bundlePolicy: "max-bundle" };
const urls = { max: 1 };

async function fetchServers() {
  const response = await fetch("/api/turn-credentials", { method: "POST" });
  if (!response.ok) throw new Error(`status ${response.status}`);
  const { iceServers, ...more } = await response.json();
  const turn = iceServers.find(({ credential }) => credential);
  return { ...more, iceServers: [{ ...turn, urls: turn.urls.slice(0, urls.max) }] };
}

/** Opens the calls; `finish()` on what it resolves with ends them and tells how they went. */
export async function open() {
  const sound = await navigator.mediaDevices.getUserMedia({ audio: true });
  const options = { source: "/api/turn-credentials", urls };
  const calls = {
    ours: await SdkCall.open({ shared: false, options, configuration }),
    updated: await PlainCall.open({ fetchServers, configuration }),
    idle: await PlainCall.open({ fetchServers, idle: true, configuration }),
  };
  for (const { call } of Object.values(calls)) call.addMedia({ media: true, stream: sound.clone() });
  const recorders = Object.fromEntries(Object.entries(calls).map(([name, { call }]) => [name, new Recorder(call)]));
  const began = Date.now();
  return {
    async finish() {
      const told = {};
      for (const [name, call] of Object.entries(calls)) {
        const { arrivals, media } = recorders[name];
        recorders[name].stop();
        const { ends, heard = [] } = await call.finish();
        told[name] = { ends, heard, arrivals, media };
      }
      return { began, ended: Date.now(), ...told };
    },
  };
}
