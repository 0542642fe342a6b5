// A data connection and a call with PeerJS. Runs in the page.
import { Peer } from "peerjs";
import { configuration, keepFresh } from "recipe:PeerJS";
import { until } from "/harness/call.mjs";
import { frames, Messages, pictures, show } from "/harness/kept-call.mjs";

export async function begin({ open, server }) {
  const sessions = [await open(), await open()];
  const peers = sessions.map((session) => new Peer({
    ...server,
    config: Object.assign(configuration(session), { iceTransportPolicy: "relay" }),
  }));
  await until(() => peers.every(({ open }) => open), "both peers known to the server", 20_000);
  const heard = (event) => new Promise((resolve) => peers[1].once(event, resolve));
  const arriving = heard("connection");
  const channels = [peers[0].connect(peers[1].id, { reliable: true }), await arriving];
  channels.forEach((channel, end) => keepFresh(sessions[end], channel, channel, { polite: end === 1 }));
  await until(() => channels.every(({ open }) => open), "the data connection open", 20_000);

  const ringing = heard("call");
  const calls = [peers[0].call(peers[1].id, pictures()), await ringing];
  calls[1].on("stream", show);
  calls[1].answer();
  calls.forEach((call, end) => keepFresh(sessions[end], call, channels[end], { polite: end === 1 }));
  await until(() => calls.every(({ peerConnection }) => peerConnection?.connectionState === "connected"), "the call connected", 20_000);

  const messages = new Messages(channels.map((channel) => (text) => channel.send(text)));
  channels.forEach((channel, end) => channel.on("data", (data) => typeof data === "string" && messages.arrived(end, data)));
  messages.start();
  return {
    ends: [0, 1].flatMap((end) => [
      { session: sessions[end], pc: channels[end].peerConnection, flow: messages.to(end) },
      { session: sessions[end], pc: calls[end].peerConnection, flow: end === 1 ? frames(calls[1].peerConnection) : undefined },
    ]),
    close() {
      const late = peers[0].connect(peers[1].id).peerConnection.getConfiguration().iceServers;
      const names = (servers) => servers.map(({ username }) => username).filter(Boolean).join();
      if (names(late) !== names(sessions[0].iceServers)) throw new Error("a later connection was not made with the servers in force");
      peers.forEach((peer) => peer.destroy());
    },
  };
}
