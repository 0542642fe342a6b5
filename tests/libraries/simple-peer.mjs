// A call with simple-peer. Runs in the page.
import { freshPeer } from "recipe:simple-peer";
import { Line, until } from "/harness/call.mjs";
import { Messages } from "/harness/kept-call.mjs";

export async function begin({ open }) {
  const sessions = [await open(), await open()];
  const lines = Line.pair({ delay: 5 });
  const peers = lines.map((line, end) =>
    freshPeer(sessions[end], line, { initiator: end === 0, config: { iceTransportPolicy: "relay" } }));
  const messages = new Messages(peers.map((peer) => (text) => peer.send(text)));
  peers.forEach((peer, end) => peer.on("data", (data) => messages.arrived(end, new TextDecoder().decode(data))));
  await until(() => peers.every((peer) => peer.connected), "both peers connected", 20_000);
  messages.start();
  return {
    ends: peers.map((peer, end) => ({ session: sessions[end], pc: peer._pc, flow: messages.to(end) })),
    close: () => peers.forEach((peer) => peer.destroy()),
  };
}
