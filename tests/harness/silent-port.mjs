// A port on loopback that takes everything, over UDP and TCP, and answers nothing.
import { createSocket } from "node:dgram";
import { createServer } from "node:net";

const HOST = "127.0.0.1";

export class SilentPort {
  #tcp = createServer((socket) => this.#sockets.add(socket.on("error", () => {})));
  #udp = createSocket("udp4");
  #sockets = new Set();

  static async open() {
    const self = new SilentPort();
    await new Promise((resolve, reject) => self.#tcp.once("error", reject).listen(0, HOST, resolve));
    const { port } = self.#tcp.address();
    try {
      await new Promise((resolve, reject) => self.#udp.once("error", reject).bind(port, HOST, resolve));
    } catch (error) {
      self.#tcp.close();
      // Somebody's UDP port has that number.
      if (error.code === "EADDRINUSE") return SilentPort.open();
      throw error;
    }
    self.port = port;
    return self;
  }

  url(transport) {
    return `turn:${HOST}:${this.port}?transport=${transport}`;
  }

  close() {
    this.#udp.close();
    this.#tcp.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
