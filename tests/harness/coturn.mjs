// coturn (TURNSERVER, default Debian's) on loopback, with time-limited credentials from a shared secret: the TURN REST
// form, username "<expiry as unix seconds>:<name>", password base64(HMAC-SHA1(secret, username)).
import { createHmac, randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Child } from "./children.mjs";

const HOST = "127.0.0.1";

/** A port that is free for TCP and for UDP. */
async function freePort(host) {
  for (;;) {
    const tcp = createServer();
    await new Promise((resolve, reject) => tcp.once("error", reject).listen(0, host, resolve));
    const { port } = tcp.address();
    const udp = createSocket("udp4");
    const free = await new Promise((resolve) => udp.once("error", () => resolve(false)).bind(port, host, () => resolve(true)));
    await new Promise((resolve) => udp.close(resolve));
    await new Promise((resolve) => tcp.close(resolve));
    if (free) return port;
  }
}

/** Waits until something answers STUN Binding requests at `port`. */
async function stunAnswers(host, port, within) {
  const socket = createSocket("udp4");
  const deadline = Date.now() + within;
  try {
    socket.on("error", () => {});
    await new Promise((resolve) => socket.bind(0, host, resolve));
    await new Promise((resolve, reject) => {
      const ask = () => {
        if (Date.now() > deadline) {
          clearInterval(timer);
          reject(new Error(`no answer to STUN at port ${port} within ${within} ms`));
          return;
        }
        const request = Buffer.concat([Buffer.from([0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42]), randomBytes(12)]);
        socket.send(request, port, host, () => {});
      };
      const timer = setInterval(ask, 50);
      ask();
      socket.once("message", () => {
        clearInterval(timer);
        resolve();
      });
    });
  } finally {
    socket.close();
  }
}

export class Coturn {
  #child;
  #secret;
  #directory;
  #args;

  /** `certificate`: files for TLS, `{cert, pkey}`; every port takes it then, beside what it takes else. */
  static async start({ host = HOST, port, certificate, args = [] } = {}) {
    const coturn = new Coturn();
    coturn.host = host;
    coturn.port = port ?? (await freePort(host));
    coturn.#secret = randomBytes(16).toString("hex");
    coturn.#directory = await mkdtemp(join(tmpdir(), "turn-wasm-coturn-"));
    coturn.#args = [...(certificate ? ["--cert", certificate.cert, "--pkey", certificate.pkey] : ["--no-tls"]), ...args];
    try {
      await coturn.#run();
    } catch (cause) {
      await coturn.stop();
      throw cause;
    }
    return coturn;
  }

  async #run() {
    this.#child = new Child(process.env.TURNSERVER || "/usr/bin/turnserver", [
      "-n",
      "--listening-ip", this.host,
      "--relay-ip", this.host,
      "--listening-port", String(this.port),
      "--use-auth-secret",
      "--static-auth-secret", this.#secret,
      "--realm", "loopback.test",
      "--allow-loopback-peers",
      "--no-dtls", "--no-cli", "--no-rfc5780", "--no-multicast-peers",
      "--userdb", join(this.#directory, "users.db"),
      "--pidfile", join(this.#directory, "pid"),
      "--log-file", "stdout", "--simple-log", "--verbose",
      ...this.#args,
    ]);
    try {
      await stunAnswers(this.host, this.port, 10_000);
    } catch (cause) {
      throw new Error(`coturn did not start:\n${this.log}`, { cause });
    }
  }

  /** Ends it and starts it anew at the same port, with the same secret: credentials stay good, allocations are gone. */
  async restart() {
    await this.#child.stop();
    await this.#run();
  }

  /** A username and its password, alive for `ttl` seconds. */
  credential({ ttl, name = randomBytes(4).toString("hex") }) {
    const username = `${Math.floor(Date.now() / 1000) + ttl}:${name}`;
    return { username, credential: createHmac("sha1", this.#secret).update(username).digest("base64") };
  }

  /** Ice servers with a credential for `ttl` seconds. */
  iceServers({ ttl, name, transports = ["udp"] }) {
    const urls = transports.map((transport) => `turn:${this.host}:${this.port}?transport=${transport}`);
    return [{ urls, ...this.credential({ ttl, name }) }];
  }

  /** The usernames that allocations were made under, in order, each once. */
  get allocatedUsernames() {
    const names = new Set();
    for (const { text } of this.#child.lines) {
      const match = /user <([^>]*)>: incoming packet ALLOCATE processed, success/.exec(text);
      if (match?.[1]) names.add(match[1]);
    }
    return [...names];
  }

  get lines() {
    return this.#child.lines;
  }

  get log() {
    return this.#child.log;
  }

  /** Stops the process in its tracks: nothing is answered until {@link resume}. */
  pause() {
    this.#child.signal("SIGSTOP");
  }

  resume() {
    this.#child.signal("SIGCONT");
  }

  async stop() {
    await this.#child.stop();
    await rm(this.#directory, { recursive: true, force: true });
  }

  [Symbol.asyncDispose]() {
    return this.stop();
  }
}
