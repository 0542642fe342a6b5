// Numbered messages over one end of a data channel, and what is known of those that came from the other end.

/** Milliseconds from one message to the next. */
export const INTERVAL = 20;

export class Numbers {
  sent = 0;
  received = 0;
  /** Numbers that were passed over. The channel is reliable and ordered, so none should be. */
  skipped = 0;
  /** Longest time between two arrivals in ms, less what the sender's own pause explains: hidden pages send seldom. */
  largestGap = 0;
  /** `performance.now()` of the last arrival. */
  lastArrival = 0;

  #channel;
  #timer;
  #lastDeparture = 0;
  /** Since the last sample: the shortest time under way, `null` if nothing came, and the largest gap, in ms. */
  #sample = { delay: null, gap: 0 };

  constructor(channel) {
    this.#channel = channel;
    channel.addEventListener("open", () => this.#start());
    if (channel.readyState === "open") this.#start();
    channel.addEventListener("close", () => this.stop());
    channel.addEventListener("message", ({ data }) => this.#take(JSON.parse(data)));
  }

  #start() {
    this.#timer ??= setInterval(() => {
      if (this.#channel.readyState === "open") {
        this.#channel.send(JSON.stringify({ number: this.sent++, departure: performance.now() }));
      }
    }, INTERVAL);
  }

  #take({ number, departure }) {
    const arrival = performance.now();
    if (this.received > 0) {
      const pause = Math.max(0, departure - this.#lastDeparture - INTERVAL);
      const gap = arrival - this.lastArrival - pause;
      this.largestGap = Math.max(this.largestGap, gap);
      this.#sample.gap = Math.max(this.#sample.gap, gap);
    }
    this.#sample.delay = Math.min(this.#sample.delay ?? Infinity, arrival - departure);
    this.skipped += number - (this.received + this.skipped);
    this.received += 1;
    this.lastArrival = arrival;
    this.#lastDeparture = departure;
  }

  /**
   * What has come since this was last asked: `{delay, gap}` in ms. `delay` is the shortest time under way, which both ends can
   * tell since they share a clock, `null` if nothing came; `gap` the longest silence, also one that still lasts.
   */
  sample() {
    const { delay, gap } = this.#sample;
    this.#sample = { delay: null, gap: 0 };
    const lasting = this.received > 0 ? performance.now() - this.lastArrival : 0;
    return { delay, gap: Math.max(gap, lasting) };
  }

  /** Sends no more; what is under way may still arrive. */
  stop() {
    clearInterval(this.#timer);
  }
}
