// What goes wrong in a soak. Each fault draws its numbers when it is planned, so that a seed repeats them whatever happens
// meanwhile: `plan(random)` gives `{how, run(place)}`, and `run` returns once the fault is over.
import { setOffline } from "../harness/offline.mjs";

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The backend misbehaves for a time. */
const misbehaving = (fault, ms) => async ({ backend }) => {
  await backend.misbehave(fault);
  await wait(ms);
  await backend.misbehave();
};

/** Of one page, or of the backend that it asks. `strict`: only where the TURN server ends what is revoked. */
export const LOCAL = [
  {
    what: "nothing",
    plan(random) {
      const ms = random.between(2000, 10_000);
      return { how: `for ${ms} ms`, run: () => wait(ms) };
    },
  },
  {
    what: "backend killed and restarted",
    plan(random) {
      const ms = random.between(1000, 20_000);
      return {
        how: `away for ${ms} ms`,
        async run({ backend }) {
          await backend.kill();
          await wait(ms);
          await backend.restart();
        },
      };
    },
  },
  {
    what: "429 with Retry-After",
    plan(random) {
      const [ms, seconds] = [random.between(2000, 16_000), random.between(1, 4)];
      return { how: `${seconds} s, for ${ms} ms`, run: misbehaving({ status: 429, headers: { "retry-after": String(seconds) } }, ms) };
    },
  },
  {
    what: "503",
    plan(random) {
      const [ms, share] = [random.between(2000, 20_000), random.pick([0.3, 0.5, 0.8, 1])];
      return { how: `for ${share} of the requests, for ${ms} ms`, run: misbehaving({ status: 503, share }, ms) };
    },
  },
  {
    what: "slow answers",
    plan(random) {
      const [ms, delay] = [random.between(5000, 20_000), random.between(500, 6000)];
      return { how: `${delay} ms late, for ${ms} ms`, run: misbehaving({ delay }, ms) };
    },
  },
  {
    what: "page offline",
    plan(random) {
      const ms = random.between(1000, 15_000);
      return {
        how: `for ${ms} ms`,
        async run({ page }) {
          await setOffline(page, true);
          await wait(ms);
          await setOffline(page, false);
        },
      };
    },
  },
  {
    what: "many refreshes at once",
    plan(random) {
      const times = random.between(2, 20);
      return {
        how: `${times} for each end`,
        run: ({ page }) =>
          page.evaluate(async (times) => {
            const { sessions } = globalThis.call.sdk;
            await Promise.all(sessions.flatMap((session) => Array.from({ length: times }, () => session.refresh().catch(() => {}))));
          }, times),
      };
    },
  },
  {
    what: "credential revoked by the provider",
    strict: true,
    plan(random) {
      const end = random.between(0, 1);
      return {
        how: `that of end ${end}`,
        async run({ page, server }) {
          const username = await page.evaluate(async (end) => {
            const { turnUsername } = await import("/harness/sdk-call.mjs");
            return turnUsername(globalThis.call.sdk.sessions[end]);
          }, end);
          // An expired credential has none to revoke.
          if (username) await server.revoke(username);
        },
      };
    },
  },
];

/** Of everybody that uses what it meets: `meets(place)`. */
export const SHARED = [
  {
    what: "coturn restarted",
    plan() {
      return { how: "its allocations are gone", meets: ({ coturn }) => Boolean(coturn), run: ({ coturn }) => coturn.restart() };
    },
  },
  {
    what: "coturn stopped in its tracks",
    plan(random) {
      const ms = random.between(1000, 8000);
      return {
        how: `for ${ms} ms`,
        meets: ({ coturn }) => Boolean(coturn),
        async run({ coturn }) {
          coturn.pause();
          await wait(ms);
          coturn.resume();
        },
      };
    },
  },
  ...["chromium", "firefox"].map((name) => ({
    what: `${name} asleep`,
    plan(random) {
      const ms = random.between(3000, 30_000);
      return {
        how: `all its processes, for ${ms} ms`,
        meets: ({ browser }) => browser.name === name,
        async run({ browser }) {
          browser.pause();
          await wait(ms);
          browser.resume();
        },
      };
    },
  })),
];
