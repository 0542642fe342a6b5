// The program TURN_DEMO_SERVER in one of its ways, and what its log says about credentials and allocations.
import { Child } from "./children.mjs";

const PROGRAM = process.env.TURN_DEMO_SERVER;

/** The `name=value` pairs of a log line. */
function fields(text) {
  return Object.fromEntries([...text.matchAll(/(\w+)=("[^"]*"|\S+)/g)].map(([, name, value]) => [name, value.replaceAll('"', "")]));
}

export class TurnProgram {
  #child;

  constructor(args, options) {
    if (!PROGRAM) throw new Error("TURN_DEMO_SERVER must name the turn-demo-server program");
    this.#child = new Child(PROGRAM, args, options);
  }

  /** What `pattern` catches in the first line that matches it. */
  async printed(pattern, options) {
    return (await this.#child.line(pattern, options)).at(1);
  }

  get log() {
    return this.#child.log;
  }

  /** The log's events of one kind, such as "allocation created": `{at, username, …}`, `at` in ms since the epoch. */
  #events(what) {
    return this.#child.lines
      .filter(({ text }) => text.includes(what))
      .map(({ text }) => ({ at: Date.parse(text.split(" ", 1)[0]), ...fields(text) }));
  }

  /** Credentials that were minted: username's first characters -> `{mintedAt, expiresAt}`, ms since the epoch. */
  get credentials() {
    return new Map(
      this.#events("credential minted").map(({ at, username, ttl }) => [username, { mintedAt: at, expiresAt: at + Number(ttl) * 1000 }]),
    );
  }

  /** Allocations in the order they were made: `{username, createdAt, goneAt, reason, port, client, transport}`; `goneAt` is null while it lives. */
  get allocations() {
    const gone = this.#events("allocation gone");
    return this.#events("allocation created").map(({ at, username, client, transport, relay }) => {
      const end = gone.find((event) => event.client === client && event.transport === transport && event.at >= at);
      return {
        username,
        client,
        transport,
        port: Number(relay.split(":").at(-1)),
        createdAt: at,
        goneAt: end?.at ?? null,
        reason: end?.reason ?? null,
      };
    });
  }

  /** Requests that the TURN server refused: `{at, username, method, code, reason}`. */
  get refusals() {
    return this.#events("request refused");
  }

  stop() {
    return this.#child.stop();
  }

  [Symbol.asyncDispose]() {
    return this.stop();
  }
}
