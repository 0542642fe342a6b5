// coturn's own client, turnutils_uclient, which Debian's package has beside the server (TURNSERVER).
import { access } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Child } from "./children.mjs";

const PROGRAM = join(dirname(process.env.TURNSERVER || "/usr/bin/turnserver"), "turnutils_uclient");

/** Where the server of these ice servers takes a transport, and the credential. */
export function target(iceServers, transport) {
  const { urls, username, credential } = iceServers.find((server) => server.username);
  const scheme = transport === "tls" ? "turns" : "turn";
  const url = urls.find((url) => url.startsWith(`${scheme}:`) && (transport === "tls" || url.endsWith(`=${transport}`)));
  return { port: Number(/:(\d+)\?/.exec(url)[1]), transport, username, credential };
}

const TRANSPORTS = { udp: [], tcp: ["-t"], tls: ["-t", "-S"] };

/**
 * Runs it against `target` on loopback with further `flags`: two clients send each other five messages over relays.
 * Gives `{code, sent, received, errors, log}`, `errors` being the STUN error codes that it was answered with.
 */
export async function uclient({ port, transport, username, credential }, flags = [], { within = 60_000 } = {}) {
  await access(PROGRAM).catch(() => {
    throw new Error(`${PROGRAM} is missing: it comes with coturn, beside the program that TURNSERVER names`);
  });
  const load = ["-y", "-n", "5", "-m", "2", "-l", "170", "-z", "20"];
  const child = new Child(PROGRAM, [...TRANSPORTS[transport], ...load, ...flags, "-u", username, "-w", credential, "-p", String(port), "127.0.0.1"]);
  const timer = setTimeout(() => child.stop(), within);
  const { code } = await child.finished;
  clearTimeout(timer);
  const [sent, received] = [...child.log.matchAll(/tot_send_msgs=(\d+), tot_recv_msgs=(\d+)$/gm)].at(-1)?.slice(1).map(Number) ?? [0, 0];
  const errors = [...child.log.matchAll(/error (\d{3}) /g)].map(([, code]) => Number(code));
  return { code, sent, received, errors, log: child.log };
}
