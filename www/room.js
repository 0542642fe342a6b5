// A signalling room of the demo backend: how two pages, in two browsers or on two machines, find each other by a name and
// exchange what `negotiate` has to say. An app has something like it already, often a WebSocket.

import { refusal } from "./backend.js";

const RETRY = 500; // ms

/** The most that one request carries, in characters; the backend takes 16 KiB. */
const BATCH = 8_000;

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * A member of a room: `send(message)`, and a `message` event for each message of the other member, once and in order, with the
 * message as `detail`. What is sent before the other one comes waits for it. `error`, with the error as `detail`, comes when the
 * room has ended. Both members have to `close()`, or the room lives on for a while.
 */
export class RoomSignalling extends EventTarget {
  #path;
  #outbox = [];
  #sent = 0;
  #sending = false;
  #closing = new AbortController();

  static async join(name) {
    const room = `/api/rooms/${encodeURIComponent(name)}/members`;
    const response = await fetch(room, { method: "POST" });
    if (!response.ok) throw await refusal(response);
    const { member } = await response.json();
    return new RoomSignalling(`${room}/${member}`);
  }

  constructor(path) {
    super();
    this.#path = path;
    addEventListener("pagehide", () => this.close(), { signal: this.#closing.signal });
    this.#run(() => this.#listen());
  }

  /** As JSON, written at once: a description may have changed when its turn comes. */
  send(message) {
    this.#outbox.push(JSON.stringify(message));
    if (!this.#sending) this.#run(() => this.#flush());
  }

  close() {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    // Whether it arrives or not, this end is done. The page may be going away.
    fetch(this.#path, { method: "DELETE", keepalive: true }).catch(() => {});
  }

  async #run(task) {
    try {
      await task();
    } catch (error) {
      if (!this.#closing.signal.aborted) this.dispatchEvent(new CustomEvent("error", { detail: error }));
    }
  }

  async #listen() {
    let from = 0;
    for (;;) {
      const { messages, next } = await this.#ask(`/messages?from=${from}`, {}, (response) => response.json());
      from = next;
      for (const message of messages) {
        if (this.#closing.signal.aborted) return;
        this.dispatchEvent(new CustomEvent("message", { detail: message }));
      }
    }
  }

  /** One request at a time, so that they cannot overtake each other. */
  async #flush() {
    this.#sending = true;
    try {
      while (this.#outbox.length > 0) {
        let count = 1;
        let length = this.#outbox[0].length;
        while (count < this.#outbox.length && length + this.#outbox[count].length < BATCH) length += this.#outbox[count++].length;
        const body = `{"first":${this.#sent},"messages":[${this.#outbox.slice(0, count).join(",")}]}`;
        await this.#ask("/messages", { method: "POST", headers: { "content-type": "application/json" }, body });
        this.#outbox.splice(0, count);
        this.#sent += count;
      }
    } finally {
      this.#sending = false;
    }
  }

  /** Asks until there is an answer. Messages are numbered, so a request that did arrive does no harm a second time. */
  async #ask(path, request, read = () => {}) {
    const { signal } = this.#closing;
    for (;;) {
      let response = null;
      try {
        response = await fetch(this.#path + path, { ...request, signal, cache: "no-store" });
        if (response.ok) return await read(response);
      } catch (error) {
        if (signal.aborted) throw error;
        response = null;
      }
      if (response && response.status !== 429 && response.status < 500) throw await refusal(response);
      await wait(Number(response?.headers.get("retry-after")) * 1000 || RETRY);
    }
  }
}
