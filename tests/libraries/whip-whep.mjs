// A publication with whip-whep. Runs in the page.
import { WHIPClient } from "whip-whep/whip.js";
import { publish } from "recipe:whip-whep";
import { until } from "/harness/call.mjs";
import { pictures } from "/harness/kept-call.mjs";

export async function begin({ open, endpoint, token }) {
  const session = await open();
  const pc = session.createPeerConnection({ iceTransportPolicy: "relay" });
  const stream = pictures();
  for (const track of stream.getTracks()) pc.addTransceiver(track, { direction: "sendonly", streams: [stream] });
  const whip = new WHIPClient();
  const stop = await publish(session, whip, pc, endpoint, token);
  await until(() => pc.connectionState === "connected", "the publication connected", 20_000);
  const { pathname } = whip.resourceURL;
  const count = async () => (await fetch("/frames", { method: "POST", body: pathname })).json();
  return {
    ends: [{ session, pc }, { flow: { count, report: async () => ({ frames: await count() }) } }],
    close: stop,
  };
}
