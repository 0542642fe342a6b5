// A call with webrtc-adapter loaded. Runs in the page.
import "webrtc-adapter";
import { startCall } from "recipe:webrtc-adapter";
import { Line, until } from "/harness/call.mjs";
import { Messages } from "/harness/kept-call.mjs";

export async function begin({ open }) {
  const sessions = [await open(), await open()];
  // The recipe's connections on the relay alone.
  const turns = sessions.map((session) => ({ createPeerConnection: () => session.createPeerConnection({ iceTransportPolicy: "relay" }) }));
  const pcs = Line.pair({ delay: 5 }).map((line, end) => startCall(turns[end], line, { polite: end === 1 }));
  const channels = [pcs[0].createDataChannel("numbers")];
  pcs[1].addEventListener("datachannel", ({ channel }) => channels.push(channel));
  await until(() => channels.length === 2 && channels.every(({ readyState }) => readyState === "open"), "both channels open", 20_000);
  const messages = new Messages(channels.map((channel) => (text) => channel.send(text)));
  channels.forEach((channel, end) => channel.addEventListener("message", ({ data }) => messages.arrived(end, data)));
  messages.start();
  return {
    ends: pcs.map((pc, end) => ({ session: sessions[end], pc, flow: messages.to(end) })),
    close: () => pcs.forEach((pc) => pc.close()),
  };
}
