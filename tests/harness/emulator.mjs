// The emulator of Cloudflare's TURN API by itself, as `turn-demo-server emulate` serves it to somebody's own backend.
import { Child } from "./children.mjs";

export class Emulator {
  #child;

  static async start() {
    const program = process.env.TURN_DEMO_SERVER;
    if (!program) throw new Error("TURN_DEMO_SERVER must name the turn-demo-server program");
    const emulator = new Emulator();
    emulator.#child = new Child(program, ["emulate", "--port", "0"]);
    const variable = async (name) => (await emulator.#child.line(new RegExp(`^${name}=(\\S+)$`), { within: 60_000 })).at(1);
    try {
      /** What the backend takes from its environment. */
      emulator.environment = {
        TURN_API_BASE: await variable("TURN_API_BASE"),
        TURN_KEY_ID: await variable("TURN_KEY_ID"),
        TURN_KEY_API_TOKEN: await variable("TURN_KEY_API_TOKEN"),
      };
    } catch (error) {
      await emulator.stop();
      throw error;
    }
    return emulator;
  }

  /** Waits until the log tells of this event of a username, such as "credential revoked". */
  told(event, username) {
    return this.#child.line(new RegExp(`${event} username=${username.slice(0, 8)}`));
  }

  stop() {
    return this.#child.stop();
  }
}
