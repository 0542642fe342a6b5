// Two connections on one page, joined over a data channel. Runs in the page.

function settled(pc) {
  return new Promise((resolve, reject) => {
    pc.addEventListener("connectionstatechange", () => {
      if (pc.connectionState === "connected") resolve();
      if (pc.connectionState === "failed") reject(new Error("the two connections did not find each other"));
    });
  });
}

/** Joins `near` to a connection of its own, and returns that one. */
export async function joined(near) {
  const far = new RTCPeerConnection();
  near.createDataChannel("");
  // Candidates wait for the descriptions that they belong to.
  let described;
  const ready = new Promise((resolve) => (described = resolve));
  for (const [from, to] of [[near, far], [far, near]]) {
    from.addEventListener("icecandidate", async ({ candidate }) => {
      await ready;
      if (candidate) await to.addIceCandidate(candidate);
    });
  }
  const both = Promise.all([near, far].map(settled));
  await near.setLocalDescription();
  await far.setRemoteDescription(near.localDescription);
  await far.setLocalDescription();
  await near.setRemoteDescription(far.localDescription);
  described();
  await both;
  return far;
}
