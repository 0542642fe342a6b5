// Signalling without trickle ICE: a description leaves only when its candidates are in it, and candidates do not leave alone.

/** Wraps `signalling` for `pc`. `gathered(pc)` resolves with its description once the candidates are in. */
export class WholeDescriptions extends EventTarget {
  #signalling;
  #pc;
  #gathered;

  constructor(signalling, pc, gathered) {
    super();
    this.#signalling = signalling;
    this.#pc = pc;
    this.#gathered = gathered;
    signalling.addEventListener("message", ({ detail }) => this.dispatchEvent(new CustomEvent("message", { detail })));
  }

  async send({ description }) {
    if (!description) return;
    const pc = this.#pc;
    try {
      const whole = await this.#gathered(pc);
      // An offer taken back meanwhile is not sent any more.
      if (pc.localDescription?.type === description.type) this.#signalling.send({ description: whole });
    } catch (error) {
      // A connection closed in the middle of it is nobody's error.
      if (pc.signalingState !== "closed") this.dispatchEvent(new CustomEvent("error", { detail: error }));
    }
  }

  close() {
    this.#signalling.close();
  }
}

/** What is done by hand: wait until gathering is complete, however long that takes. */
export function gatheringComplete(pc) {
  return new Promise((resolve) => {
    const look = () => {
      if (pc.iceGatheringState !== "complete") return;
      pc.removeEventListener("icegatheringstatechange", look);
      resolve(pc.localDescription);
    };
    pc.addEventListener("icegatheringstatechange", look);
    look();
  });
}
