// A call with JsSIP. Runs in the page.
import JsSIP from "jssip";
import { keepFresh } from "recipe:JsSIP";
import { until } from "/harness/call.mjs";
import { frames, pictures, show } from "/harness/kept-call.mjs";

/** What a gateway does that needs no relays of its own: it answers each offer with all of its candidates. */
function answerInFull({ connection }) {
  const setLocalDescription = connection.setLocalDescription.bind(connection);
  connection.setLocalDescription = async (description) => {
    // In Firefox iceGatheringState is "complete" for a moment longer when a restart begins.
    const gathered = new Promise((resolve) => connection.addEventListener("icecandidate", ({ candidate }) => candidate ?? resolve()));
    await setLocalDescription(description);
    await gathered;
  };
}

/** `gateway`: the configuration of an end that calls and knows nothing of turn-wasm. */
export async function begin({ open, proxy, gateway }) {
  const options = { trickle: false };
  const turns = [gateway ? null : await open(options), await open(options)];
  const calls = [];
  const agents = turns.map((turn, end) => {
    const agent = new JsSIP.UA({ sockets: [new JsSIP.WebSocketInterface(proxy)], uri: `sip:end-${end}@loopback.test`, register: true });
    agent.on("newRTCSession", ({ session }) => {
      calls[end] = session;
      if (turn) keepFresh(turn, session, { alike: !gateway });
      else answerInFull(session);
    });
    agent.start();
    return agent;
  });
  const configuration = (turn) => ({ pcConfig: turn ? { iceServers: turn.iceServers, iceTransportPolicy: "relay" } : gateway });
  await until(() => agents.every((agent) => agent.isRegistered()), "both ends registered", 20_000);
  agents[0].call("sip:end-1@loopback.test", { ...configuration(turns[0]), mediaStream: pictures() });
  await until(() => calls[1], "an invitation", 20_000);
  calls[1].answer({ ...configuration(turns[1]), mediaStream: pictures() });
  for (const { connection } of calls) connection.addEventListener("track", ({ streams }) => show(streams[0]));
  await until(() => calls.every((call) => call.isEstablished() && call.connection.connectionState === "connected"), "the call connected", 20_000);
  return {
    ends: calls.map((call, end) => ({ session: turns[end], pc: call.connection, flow: frames(call.connection) })),
    close: () => agents.forEach((agent) => agent.stop()),
  };
}
