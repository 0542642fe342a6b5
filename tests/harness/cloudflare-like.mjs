// The eight URLs that Cloudflare hands out, answered by coturn in a network of this script's own.
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Coturn } from "./coturn.mjs";
import { HERE, NOWHERE } from "./namespace.mjs";

const STUN = ["stun:HOST:3478", "stun:HOST:53"];

const TURN = [
  "turn:HOST:3478?transport=udp",
  "turn:HOST:53?transport=udp",
  "turn:HOST:3478?transport=tcp",
  "turn:HOST:80?transport=tcp",
  "turns:HOST:5349?transport=tcp",
  "turns:HOST:443?transport=tcp",
];

/** Nobody answers at the alternates on port 53. */
export const PORT_53 = /:53(\?|$)/;

export class CloudflareLike {
  #coturn;
  #directory;

  static async start() {
    const self = new CloudflareLike();
    self.#directory = await mkdtemp(join(tmpdir(), "turn-wasm-certificate-"));
    const certificate = { cert: join(self.#directory, "cert.pem"), pkey: join(self.#directory, "key.pem") };
    try {
      await promisify(execFile)("openssl", [
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-subj", `/CN=${HERE.name}`, "-addext", `subjectAltName=DNS:${HERE.name}`, "-out", certificate.cert, "-keyout", certificate.pkey,
      ]);
      self.#coturn = await Coturn.start({
        host: HERE.address,
        port: 3478,
        certificate,
        args: ["--tls-listening-port", "5349", "--aux-server", `${HERE.address}:80`, "--aux-server", `${HERE.address}:443`],
      });
    } catch (error) {
      await self.stop();
      throw error;
    }
    return self;
  }

  /** For `browser`. Nobody answers at the URLs that match `silent`. */
  iceServers(browser, { silent = PORT_53 } = {}) {
    const at = (url) => url.replace("HOST", (silent.test(url) ? NOWHERE : HERE).in(browser));
    return [{ urls: STUN.map(at) }, { urls: TURN.map(at), ...this.#coturn.credential({ ttl: 600 }) }];
  }

  async stop() {
    await this.#coturn?.stop();
    await rm(this.#directory, { recursive: true, force: true });
  }

  [Symbol.asyncDispose]() {
    return this.stop();
  }
}
