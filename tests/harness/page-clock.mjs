// The page's wall clock and timers in the hands of a test. Runs in the page.

const wall = Date.now;
const setNativeTimeout = globalThis.setTimeout;

export class PageClock {
  /** Milliseconds by which the wall clock is off. */
  wall = 0;
  /** The timers that were set: `{delay, id, callback}`, `delay` in milliseconds. */
  timers = [];

  constructor() {
    Date.now = () => wall.call(Date) + this.wall;
    globalThis.setTimeout = (callback, delay = 0, ...values) => {
      const id = setNativeTimeout(callback, delay, ...values);
      this.timers.push({ delay, id, callback });
      return id;
    };
  }

  /** A system sleep, as most platforms show it: the wall clock alone goes on. */
  sleep(ms) {
    this.wall += ms;
  }

  /** Lets the last timer fire now that was set for `least` milliseconds or longer. */
  fire(least) {
    const { id, callback } = this.timers.findLast(({ delay }) => delay >= least);
    clearTimeout(id);
    callback();
  }

  /** The longest delay of all. */
  get longest() {
    return Math.max(...this.timers.map(({ delay }) => delay));
  }

  /** Milliseconds since the page began, which no test changes. */
  static get elapsed() {
    return performance.now();
  }
}
