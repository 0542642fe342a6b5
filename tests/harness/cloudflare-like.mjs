// The eight URLs that Cloudflare hands out, answered by coturn in a network of this script's own. Nobody answers at the two
// alternates on port 53.
import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
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

export class CloudflareLike {
  /** Packets that came to port 53 so far. */
  packetsAtPort53 = 0;
  #port53 = createSocket("udp4", () => this.packetsAtPort53++);
  #coturn;
  #directory;

  static async start() {
    const self = new CloudflareLike();
    self.#directory = await mkdtemp(join(tmpdir(), "turn-wasm-certificate-"));
    const certificate = { cert: join(self.#directory, "cert.pem"), pkey: join(self.#directory, "key.pem") };
    try {
      await new Promise((resolve, reject) => self.#port53.once("error", reject).bind(53, HERE.address, resolve));
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

  /** For `browser`. What is sent to the URLs that match `lost` gets lost. */
  iceServers(browser, { lost } = {}) {
    const at = (url) => url.replace("HOST", (lost?.test(url) ? NOWHERE : HERE).in(browser));
    return [{ urls: STUN.map(at) }, { urls: TURN.map(at), ...this.#coturn.credential({ ttl: 600 }) }];
  }

  async stop() {
    await this.#coturn?.stop();
    this.#port53.close();
    await rm(this.#directory, { recursive: true, force: true });
  }

  [Symbol.asyncDispose]() {
    return this.stop();
  }
}
