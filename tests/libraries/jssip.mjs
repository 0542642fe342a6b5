// A call with JsSIP. Runs in the page.
import JsSIP from "jssip";
import { keepFresh } from "recipe:JsSIP";
import { until } from "/harness/call.mjs";
import { frames, pictures, show } from "/harness/kept-call.mjs";

export async function begin({ open, proxy }) {
  const options = { trickle: false };
  const sessions = [await open(options), await open(options)];
  const calls = [];
  const agents = sessions.map((turn, end) => {
    const agent = new JsSIP.UA({ sockets: [new JsSIP.WebSocketInterface(proxy)], uri: `sip:end-${end}@loopback.test`, register: true });
    agent.on("newRTCSession", ({ session }) => {
      calls[end] = session;
      keepFresh(turn, session);
    });
    agent.start();
    return agent;
  });
  const configuration = (turn) => ({ pcConfig: { iceServers: turn.iceServers, iceTransportPolicy: "relay" } });
  await until(() => agents.every((agent) => agent.isRegistered()), "both ends registered", 20_000);
  agents[0].call("sip:end-1@loopback.test", { ...configuration(sessions[0]), mediaStream: pictures() });
  await until(() => calls[1], "an invitation", 20_000);
  calls[1].answer({ ...configuration(sessions[1]), mediaStream: pictures() });
  for (const { connection } of calls) connection.addEventListener("track", ({ streams }) => show(streams[0]));
  await until(() => calls.every((call) => call.isEstablished() && call.connection.connectionState === "connected"), "the call connected", 20_000);
  return {
    ends: calls.map((call, end) => ({ session: sessions[end], pc: call.connection, flow: frames(call.connection) })),
    close: () => agents.forEach((agent) => agent.stop()),
  };
}
