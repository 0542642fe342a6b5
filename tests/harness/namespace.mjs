// A network of its own for a script: one ordinary interface with an address and a default route, and an address that
// swallows everything. Browsers gather there as they do elsewhere, without the settings that loopback needs, and every port
// is free. Made of a Linux network namespace, which ends with the script.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Child } from "./children.mjs";

/** A host in that network: Chromium resolves no names there, and Firefox takes no certificate for an address. */
export class Host {
  constructor(address, name) {
    this.address = address;
    this.name = name;
  }

  /** As it stands in a URL for `browser`. */
  in(browser) {
    return browser === "firefox" ? this.name : this.address;
  }
}

/** Where the script's own programs answer. */
export const HERE = new Host("10.99.0.2", "turn.test");

/** Where what is sent is lost, as behind a firewall. */
export const NOWHERE = new Host("10.99.0.9", "silent.test");

const UNSHARE = ["--map-root-user", "--net", "--mount"];

const SET_UP = `
set -e
ip link set lo up
ip link add turn0 type veth peer name turn1
ip link set turn0 addrgenmode none
ip link set turn1 addrgenmode none
ip addr add ${HERE.address}/24 dev turn0
ip link set turn0 up
ip link set turn1 up
ip route add default via 10.99.0.1
ip neigh add ${NOWHERE.address} lladdr 02:00:00:00:00:09 nud permanent dev turn0
hosts=$(mktemp)
printf '127.0.0.1 localhost\\n${HERE.address} ${HERE.name}\\n${NOWHERE.address} ${NOWHERE.name}\\n' >"$hosts"
mount --bind "$hosts" /etc/hosts
rm "$hosts"
exec "$@"
`;

/** Why there can be no such network here, `null` if there can. */
export async function obstacle() {
  try {
    await promisify(execFile)("unshare", [...UNSHARE, "sh", "-c", SET_UP, "sh", "true"]);
    return null;
  } catch (error) {
    const why = error.stderr?.trim().split("\n").at(-1) || error.message;
    return `no network namespace can be made here (needs unshare, ip and mount, and the right to use them): ${why}`;
  }
}

/** Runs a script of Node's in a new network, and resolves with what it printed as JSON in its last line. */
export async function runInNamespace(script, args = []) {
  const child = new Child("unshare", [...UNSHARE, "sh", "-c", SET_UP, "sh", process.execPath, script, ...args]);
  const { code } = await child.exited;
  await child.stop();
  if (code !== 0) throw new Error(`${script} ended with ${code}:\n${child.log}`);
  return JSON.parse(child.lines.findLast(({ stream }) => stream === "stdout").text);
}
