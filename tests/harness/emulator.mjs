// The emulator of Cloudflare's TURN API by itself, as `turn-demo-server emulate` serves it to somebody's own backend.
import { TurnProgram } from "./turn-program.mjs";

export class Emulator extends TurnProgram {
  static async start({ args = [] } = {}) {
    const emulator = new Emulator(["emulate", "--port", "0", ...args]);
    const variable = (name) => emulator.printed(new RegExp(`^${name}=(\\S+)$`), { within: 60_000 });
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

  /** What a backend answers a page with: `{iceServers, ttl}`, alive for `ttl` seconds. */
  async mint(ttl) {
    const { TURN_API_BASE, TURN_KEY_ID, TURN_KEY_API_TOKEN } = this.environment;
    const response = await fetch(`${TURN_API_BASE}/v1/turn/keys/${TURN_KEY_ID}/credentials/generate-ice-servers`, {
      method: "POST",
      headers: { authorization: `Bearer ${TURN_KEY_API_TOKEN}`, "content-type": "application/json" },
      body: JSON.stringify({ ttl }),
    });
    if (!response.ok) throw new Error(`the emulator answered ${response.status}: ${await response.text()}`);
    const { iceServers } = await response.json();
    return { iceServers, ttl };
  }

  /** Waits until the log tells of this event of a username, such as "credential revoked". */
  told(event, username) {
    return this.printed(new RegExp(`${event} username=${username.slice(0, 8)}`));
  }

  /** Waits until the log tells that the TURN server refused a request of this username. */
  refused(username, code, transport) {
    return this.printed(new RegExp(`request refused username=${username.slice(0, 8)} transport=${transport} .* code=${code} `));
  }
}
