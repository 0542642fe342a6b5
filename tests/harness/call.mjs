// A call between two connections on one page, and what happened to it. Runs in the page.
//
// Signalling is "perfect negotiation" as the WebRTC specification prints it; end 1 is the polite one. Over a reliable,
// ordered data channel each end sends a numbered message every 20 ms; the other counts what is lost, what is repeated,
// and the time between arrivals.

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Calls `act` every `ms`; returns a function that ends it. `steady`: by a worker's clock, which runs on while the page is hidden. */
function every(ms, act, steady) {
  if (!steady) {
    const timer = setInterval(act, ms);
    return () => clearInterval(timer);
  }
  const program = URL.createObjectURL(new Blob([`setInterval(() => postMessage(0), ${ms})`], { type: "text/javascript" }));
  const worker = new Worker(program);
  worker.addEventListener("message", act);
  return () => worker.terminate();
}

/** Resolves as soon as `condition()` is truthy, with its value; rejects after `within` ms, naming `what`. */
export async function until(condition, what, within = 10_000) {
  const deadline = performance.now() + within;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > deadline) throw new Error(`not within ${within} ms: ${what}`);
    await wait(20);
  }
}

/** One direction's messages as the receiver sees them. */
export class Tally {
  sent = 0;
  received = 0;
  lost = 0;
  repeated = 0;
  largestGap = 0;
  largestSendGap = 0;
  lastArrival = null;
  lastSend = null;
  /** Arrivals that came more than 200 ms after the one before: `{at, gap}`, ms. */
  stalls = [];
  #next = 0;

  noteSend() {
    const now = performance.now();
    if (this.lastSend !== null) this.largestSendGap = Math.max(this.largestSendGap, now - this.lastSend);
    this.lastSend = now;
    return this.sent++;
  }

  noteArrival(number) {
    const now = performance.now();
    if (this.lastArrival !== null) {
      const gap = now - this.lastArrival;
      this.largestGap = Math.max(this.largestGap, gap);
      if (gap > 200) this.stalls.push({ at: Math.round(now), gap: Math.round(gap) });
    }
    this.lastArrival = now;
    this.received++;
    if (number < this.#next) this.repeated++;
    else {
      this.lost += number - this.#next;
      this.#next = number + 1;
    }
  }

  rest() {
    this.lastArrival = null;
    this.lastSend = null;
  }

  get report() {
    const silence = this.lastArrival === null ? null : performance.now() - this.lastArrival;
    return {
      sent: this.sent,
      received: this.received,
      lost: this.lost,
      repeated: this.repeated,
      largestGap: Math.round(this.largestGap),
      largestSendGap: Math.round(this.largestSendGap),
      silence: silence === null ? null : Math.round(silence),
      stalls: this.stalls,
    };
  }
}

export class Call extends EventTarget {
  /** What happened, in order: `{at, end, what, …}`, `at` in ms since the page began. */
  events = [];
  ends;
  #quiet = () => {};
  #delay;
  #interval;
  #steady;

  /**
   * `connections`: two RTCPeerConnections, the impolite end first. `delay`: ms that a signalling message takes.
   * `media`: a canvas video track from end 0 to end 1. `steady`: neither messages nor signalling wait for the timers of a
   * hidden page, as those of a socket would not.
   */
  constructor(connections, { delay = 0, interval = 20, media = false, steady = false } = {}) {
    super();
    this.#delay = delay;
    this.#interval = interval;
    this.#steady = steady;
    this.ends = connections.map((pc, index) => ({
      pc,
      index,
      polite: index === 1,
      makingOffer: false,
      ignoreOffer: false,
      settingAnswer: false,
      channel: null,
      tally: new Tally(),
      errors: [],
    }));
    for (const end of this.ends) this.#wire(end);
    this.#open(this.ends[0], this.ends[0].pc.createDataChannel("numbers", { ordered: true }));
    this.ends[1].pc.addEventListener("datachannel", (event) => this.#open(this.ends[1], event.channel));
    if (media) this.#addVideo();
  }

  #other(end) {
    return this.ends[1 - end.index];
  }

  note(end, what, more = {}) {
    const event = { at: Math.round(performance.now() * 10) / 10, end: end?.index ?? null, what, ...more };
    this.events.push(event);
    this.dispatchEvent(new CustomEvent("noted", { detail: event }));
  }

  #send(end, message) {
    const copy = JSON.parse(JSON.stringify(message));
    const deliver = () => this.#receive(this.#other(end), copy).catch((error) => this.#fail(this.#other(end), error));
    if (!this.#steady) {
      setTimeout(deliver, this.#delay);
      return;
    }
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      deliver();
    };
    port2.postMessage(null);
  }

  #fail(end, error) {
    end.errors.push(String(error));
    this.note(end, "error", { message: String(error) });
  }

  #wire(end) {
    const { pc } = end;
    pc.addEventListener("negotiationneeded", async () => {
      this.note(end, "negotiationneeded");
      try {
        end.makingOffer = true;
        await pc.setLocalDescription();
        this.#send(end, { description: pc.localDescription });
      } catch (error) {
        this.#fail(end, error);
      } finally {
        end.makingOffer = false;
      }
    });
    pc.addEventListener("icecandidate", ({ candidate }) => {
      if (candidate) this.#send(end, { candidate });
    });
    pc.addEventListener("icecandidateerror", (event) => {
      const { errorCode, errorText, url, address, port } = event;
      this.note(end, "icecandidateerror", { errorCode, errorText, url, address, port });
    });
    for (const state of ["connectionState", "iceConnectionState", "iceGatheringState", "signalingState"]) {
      pc.addEventListener(state.toLowerCase() + "change", () => this.note(end, state, { value: pc[state] }));
    }
    pc.addEventListener("track", ({ track, streams }) => {
      this.note(end, "track", { kind: track.kind });
      const video = document.createElement("video");
      video.muted = true;
      video.srcObject = streams[0] ?? new MediaStream([track]);
      document.body.append(video);
      video.play().catch(() => {});
    });
  }

  async #receive(end, { description, candidate }) {
    const { pc } = end;
    if (pc.signalingState === "closed") return;
    if (description) {
      const ready = !end.makingOffer && (pc.signalingState === "stable" || end.settingAnswer);
      const collision = description.type === "offer" && !ready;
      end.ignoreOffer = !end.polite && collision;
      if (end.ignoreOffer) {
        this.note(end, "offer ignored");
        return;
      }
      end.settingAnswer = description.type === "answer";
      await pc.setRemoteDescription(description);
      end.settingAnswer = false;
      this.note(end, "remote description", { type: description.type });
      if (description.type === "offer") {
        await pc.setLocalDescription();
        this.#send(end, { description: pc.localDescription });
      }
    } else {
      try {
        await pc.addIceCandidate(candidate);
      } catch (error) {
        if (!end.ignoreOffer) throw error;
      }
    }
  }

  #open(end, channel) {
    end.channel = channel;
    channel.addEventListener("message", ({ data }) => this.#other(end).tally.noteArrival(Number(data)));
    for (const what of ["open", "closing", "close"]) channel.addEventListener(what, () => this.note(end, `channel ${what}`));
    channel.addEventListener("error", ({ error }) => this.note(end, "channel error", { message: String(error) }));
  }

  #addVideo() {
    const canvas = document.createElement("canvas");
    canvas.width = 320;
    canvas.height = 240;
    const context = canvas.getContext("2d");
    let frame = 0;
    this.painting = setInterval(() => {
      context.fillStyle = `hsl(${frame % 360} 80% 50%)`;
      context.fillRect(0, 0, 320, 240);
      context.fillStyle = "white";
      context.fillText(String(frame++), 20, 20);
    }, 40);
    const stream = canvas.captureStream(25);
    this.ends[0].pc.addTrack(stream.getTracks()[0], stream);
  }

  /** Resolves once both ends are connected and both channels open, then starts the numbered messages. */
  async start({ within = 20_000 } = {}) {
    await until(
      () => this.ends.every(({ pc, channel }) => pc.connectionState === "connected" && channel?.readyState === "open"),
      "both ends connected, both channels open",
      within,
    );
    this.talk();
  }

  /** Sends the numbered messages, also again after {@link hush}. */
  talk() {
    const send = () => {
      for (const end of this.ends) {
        if (end.channel.readyState === "open") end.channel.send(String(end.tally.noteSend()));
      }
    };
    this.#quiet = every(this.#interval, send, this.#steady);
  }

  /** Sends none until {@link talk}; the silence counts as no gap. */
  hush() {
    this.#quiet();
    for (const { tally } of this.ends) tally.rest();
  }

  /** Stops the messages and waits until all that were sent are there. */
  async stop({ within = 5_000 } = {}) {
    this.#quiet();
    await until(() => this.ends.every(({ tally }) => tally.received >= tally.sent), "all messages arrived", within).catch(() => {});
    return this.report();
  }

  close() {
    this.#quiet();
    clearInterval(this.painting);
    for (const { pc } of this.ends) pc.close();
  }

  /** Per end: what its messages met on their way to the other end, and where the connection stands. */
  report() {
    return this.ends.map(({ pc, channel, tally, errors }) => ({
      ...tally.report,
      connectionState: pc.connectionState,
      iceConnectionState: pc.iceConnectionState,
      channel: channel?.readyState ?? null,
      errors,
    }));
  }
}

/** The selected pair of a connection by its statistics, `null` if there is none. */
export async function selectedPair(pc) {
  const stats = await pc.getStats();
  let pair = null;
  for (const entry of stats.values()) {
    if (entry.type === "transport" && entry.selectedCandidatePairId) pair = stats.get(entry.selectedCandidatePairId) ?? pair;
  }
  for (const entry of stats.values()) {
    if (!pair && entry.type === "candidate-pair" && entry.selected) pair = entry;
  }
  return pair && { pair, local: stats.get(pair.localCandidateId) ?? null, remote: stats.get(pair.remoteCandidateId) ?? null };
}
