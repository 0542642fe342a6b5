// A mediasoup-client transport that sends to a connection in place of a server. Runs in the page.
import { Device } from "mediasoup-client";
import { keepFresh } from "recipe:mediasoup-client";
import { until } from "/harness/call.mjs";
import { frames, pictures } from "/harness/kept-call.mjs";
import { MediasoupEnd, RTP_CAPABILITIES } from "./mediasoup-end.mjs";

export async function begin({ open, publicAddress }) {
  const session = await open({ urls: { transports: ["udp"] } });
  const far = await MediasoupEnd.open(publicAddress);
  const device = await Device.factory();
  await device.load({ routerRtpCapabilities: RTP_CAPABILITIES });
  const transport = device.createSendTransport({ ...far.parameters, iceServers: session.iceServers, iceTransportPolicy: "relay" });
  // mediasoup's server is ICE-lite and need not know the ICE parameters of its client, as a connection must.
  far.client = () => transport.handler._pc;
  transport.on("connect", ({ dtlsParameters }, done, failed) => far.connect({ dtlsParameters }).then(done, failed));
  transport.on("produce", ({ rtpParameters }, done, failed) => far.produce({ rtpParameters }).then(done, failed));
  keepFresh(session, transport, (method, parameters) => far.request(method, parameters));
  await transport.produce({ track: pictures().getVideoTracks()[0] });
  await until(() => transport.connectionState === "connected", "the transport connected", 20_000);
  return {
    ends: [{ session, pc: transport }, { pc: far.pc, flow: frames(far.pc) }],
    close: () => {
      transport.close();
      far.pc.close();
    },
  };
}
