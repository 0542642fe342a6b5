// Programs that the tests start. Each runs in a process group of its own, is ended by its own id, and is ended too when
// this process dies without a chance to clean up: a watcher holds the reading end of a pipe that only we write to.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";

/** Ends process group `pid` as soon as this process is gone, however it went. Returns a function that calls it off. */
export function tieToThisProcess(pid) {
  const watcher = spawn("/bin/sh", ["-c", `cat >/dev/null; kill -9 -- -${pid}`], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  watcher.unref();
  watcher.stdin.unref?.();
  watcher.stdin.on("error", () => {});
  return () => {
    watcher.kill("SIGKILL");
    watcher.stdin.destroy();
  };
}

/** The processes that descend from `pid`, itself first, as /proc shows them. */
function descendants(pid) {
  const children = new Map();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      // After the program's name, which may hold anything: state, parent, …
      const parent = Number(readFileSync(`/proc/${name}/stat`, "utf8").replace(/^.*\)/s, "").trim().split(" ")[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
    } catch {
      // Gone meanwhile.
    }
  }
  const found = [pid];
  for (const parent of found) found.push(...(children.get(parent) ?? []));
  return found;
}

function signalEach(pids, name) {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch {
      // Gone meanwhile.
    }
  }
}

/** Stops `pid` and all that descends from it in their tracks. Returns a function that lets them go on. */
export function stopTree(pid) {
  const stopped = new Set();
  // What a process starts before its own turn is found the next time round.
  for (let fresh; (fresh = descendants(pid).filter((found) => !stopped.has(found))).length > 0; ) {
    signalEach(fresh, "SIGSTOP");
    for (const found of fresh) stopped.add(found);
  }
  return () => signalEach([...stopped].reverse(), "SIGCONT");
}

/** A program that was started, with everything it printed. */
export class Child {
  /** Every line printed so far, both streams, in the order of arrival: `{at, stream, text}`, `at` in ms since the epoch. */
  lines = [];
  #process;
  #untie;
  #exit;
  #end;
  #watchers = new Set();

  constructor(command, args, { env, cwd } = {}) {
    this.command = command;
    this.#process = spawn(command, args, {
      detached: true,
      env: { ...process.env, ...env },
      cwd,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#exit = once(this.#process, "exit").then(
      ([code, signal]) => ({ code, signal }),
      (error) => ({ code: null, signal: null, error }),
    );
    this.#end = once(this.#process, "close").catch(() => {});
    if (this.#process.pid) this.#untie = tieToThisProcess(this.#process.pid);
    for (const stream of ["stdout", "stderr"]) {
      createInterface({ input: this.#process[stream] }).on("line", (text) => {
        const line = { at: Date.now(), stream, text };
        this.lines.push(line);
        for (const watcher of [...this.#watchers]) watcher(line);
      });
    }
  }

  get pid() {
    return this.#process.pid;
  }

  get exited() {
    return this.#exit;
  }

  /** As {@link exited}, once all that it printed is in {@link lines}. */
  get finished() {
    return this.#end.then(() => this.#exit);
  }

  /** What was printed, as text. */
  get log() {
    return this.lines.map((line) => line.text).join("\n");
  }

  /** The match of `pattern` in the first line that has one. */
  async line(pattern, { within = 10_000 } = {}) {
    for (const { text } of this.lines) {
      const match = pattern.exec(text);
      if (match) return match;
    }
    return await new Promise((resolve, reject) => {
      const settle = (act, value) => {
        clearTimeout(timer);
        this.#watchers.delete(watcher);
        act(value);
      };
      const watcher = ({ text }) => {
        const match = pattern.exec(text);
        if (match) settle(resolve, match);
      };
      this.#watchers.add(watcher);
      const timer = setTimeout(
        () => settle(reject, new Error(`${this.command}: no line matched ${pattern} within ${within} ms:\n${this.log}`)),
        within,
      );
      this.#exit.then(({ code, signal, error }) =>
        settle(reject, new Error(`${this.command} ended (${error?.message ?? signal ?? code}) before a line matched ${pattern}:\n${this.log}`)),
      );
    });
  }

  signal(name) {
    this.#process.kill(name);
  }

  /** Asks it to end, and makes it end after `within` ms. */
  async stop({ within = 3_000 } = {}) {
    if (this.#process.exitCode === null && this.#process.signalCode === null && this.#process.pid) {
      this.#process.kill("SIGCONT");
      this.#process.kill("SIGTERM");
      const timer = setTimeout(() => {
        try {
          process.kill(-this.#process.pid, "SIGKILL");
        } catch {
          // Gone meanwhile.
        }
      }, within);
      await this.#exit;
      clearTimeout(timer);
    }
    this.#untie?.();
  }

  [Symbol.asyncDispose]() {
    return this.stop();
  }
}
