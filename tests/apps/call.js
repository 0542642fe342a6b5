// What every app here does with the package: a session of the app's own backend, a relayed call between two connections of it,
// and another credential in the middle. Runs in the page, and resolves with how it went.
export async function call(openTurnSession) {
  const turn = await openTurnSession({ source: "/api/turn-credentials" });
  const ends = [turn, turn].map((session) => session.createPeerConnection({ iceTransportPolicy: "relay" }));
  ends.forEach((end, index) => {
    end.addEventListener("icecandidate", ({ candidate }) => candidate && ends[1 - index].addIceCandidate(candidate));
  });
  const [one, other] = ends;
  const channel = one.createDataChannel("call");
  const heard = new Promise((resolve) => {
    other.addEventListener("datachannel", (event) => event.channel.addEventListener("message", ({ data }) => resolve(data)));
  });
  channel.addEventListener("open", () => channel.send("hello"));
  await one.setLocalDescription();
  await other.setRemoteDescription(one.localDescription);
  await other.setLocalDescription();
  await one.setRemoteDescription(other.localDescription);
  const word = await heard;
  const over = await Promise.all(ends.map(candidateType));
  const username = () => turn.iceServers.find((server) => server.username).username;
  const first = username();
  await turn.refresh();
  const fresh = username() !== first && ends.every((end) => end.getConfiguration().iceServers.some((server) => server.username === username()));
  const { status } = turn.state;
  await turn.close();
  for (const end of ends) end.close();
  return { status, word, over, fresh };
}

/** What kind of candidate this end of a connection sends from. */
async function candidateType({ sctp }) {
  const ice = sctp.transport.iceTransport;
  // The other end may already send over it.
  if (!ice.getSelectedCandidatePair()) await new Promise((resolve) => ice.addEventListener("selectedcandidatepairchange", resolve, { once: true }));
  return ice.getSelectedCandidatePair().local.type;
}
