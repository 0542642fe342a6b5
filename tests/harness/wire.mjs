// A direct path between two UDP ports on this machine that can be cut: each end knows the other by a port of the wire.
import { createSocket } from "node:dgram";

export class Wire {
  #sockets = [createSocket("udp4"), createSocket("udp4")];
  #ends = [];
  /** Packets that were carried. */
  carried = 0;

  static async open() {
    const wire = new Wire();
    for (const [end, socket] of wire.#sockets.entries()) {
      await new Promise((resolve, reject) => socket.once("error", reject).bind(0, resolve));
      // Here arrives what is meant for this end, from the other.
      socket.on("message", (packet, { address, port }) => {
        const { [end]: to, [1 - end]: from } = wire.#ends;
        if (address !== from?.address || port !== from.port) return;
        wire.carried++;
        wire.#sockets[1 - end].send(packet, to.port, to.address);
      });
    }
    return wire;
  }

  /** By which port each end is known to the other. */
  get ports() {
    return this.#sockets.map((socket) => socket.address().port);
  }

  /** Carries packets between these two, `{address, port}` each, and no others. */
  join(ends) {
    this.#ends = ends;
  }

  cut() {
    this.#ends = [];
  }

  close() {
    for (const socket of this.#sockets) socket.close();
  }
}
