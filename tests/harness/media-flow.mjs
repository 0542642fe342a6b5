// What comes of the sound and the pictures that a connection receives. Runs in the page.

/** ms between two looks at the statistics. */
const PACE = 250;

/** Grows as long as something comes through: pictures that were shown, packets of sound. */
const COUNTERS = { video: "framesDecoded", audio: "packetsReceived" };

export class MediaFlow {
  /** By kind: `{shown, total, changedAt, still}`, `still` the longest time in ms in which nothing came. */
  #kinds = new Map();
  #last = {};
  #timer;

  constructor(pc) {
    this.#timer = setInterval(() => this.#look(pc), PACE);
  }

  async #look(pc) {
    for (const { type, kind, ...entry } of (await pc.getStats()).values()) {
      if (type !== "inbound-rtp") continue;
      const now = performance.now();
      const shown = entry[COUNTERS[kind]] ?? 0;
      const known = this.#kinds.get(kind);
      if (!known) {
        this.#kinds.set(kind, { shown, total: shown, changedAt: now, still: 0 });
      } else {
        known.still = Math.max(known.still, now - known.changedAt);
        // Firefox begins anew where a negotiation made it another receiver.
        const more = shown < known.shown ? shown : shown - known.shown;
        if (more > 0) Object.assign(known, { shown, total: known.total + more, changedAt: now });
      }
      this.#last[kind] = entry;
    }
  }

  /** By kind: how much came, and for how long nothing did, ms; what the browser says of freezes (s) and concealed sound (a share). */
  report() {
    clearInterval(this.#timer);
    const { audio, video } = this.#last;
    const of = (kind, more) => {
      const { total = 0, still = Infinity } = this.#kinds.get(kind) ?? {};
      return { total, still: Math.round(still), ...more };
    };
    return {
      video: of("video", { freezes: video?.freezeCount ?? null, frozen: video?.totalFreezesDuration ?? null }),
      audio: of("audio", { concealed: audio?.totalSamplesReceived ? audio.concealedSamples / audio.totalSamplesReceived : null }),
    };
  }
}
