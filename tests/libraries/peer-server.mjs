// PeerJS's signalling server on loopback.
import { fileURLToPath } from "node:url";
import { Child } from "../harness/children.mjs";

const PROGRAM = fileURLToPath(new URL("peer-server-process.mjs", import.meta.url));

export class SignallingServer {
  #child = new Child(process.execPath, [PROGRAM]);

  static async start() {
    const server = new SignallingServer();
    try {
      server.port = Number((await server.#child.line(/^listening on (\d+)$/)).at(1));
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  /** What a `Peer` is told of it. */
  get options() {
    return { host: "127.0.0.1", port: this.port, secure: false };
  }

  stop() {
    return this.#child.stop();
  }
}
