// Perfect negotiation, as the WebRTC specification describes it. This is the app's part of an ICE restart: `restartIce()`
// fires `negotiationneeded`, and the offer made here carries it out. Either end may offer at any time, also both at once;
// then the polite end takes its own offer back.

/**
 * Keeps `pc` in agreement with the other end, over `signalling`: anything that delivers messages reliably and in order.
 * Exactly one of the two ends is `polite`. `onerror` gets what goes wrong.
 */
export function negotiate(pc, signalling, { polite, onerror }) {
  let makingOffer = false;
  let ignoringOffer = false;
  let settingAnswer = false;

  const report = (error) => {
    // A connection closed in the middle of it is nobody's error.
    if (pc.signalingState !== "closed") onerror(error);
  };

  pc.addEventListener("negotiationneeded", async () => {
    try {
      makingOffer = true;
      await pc.setLocalDescription();
      signalling.send({ description: pc.localDescription });
    } catch (error) {
      report(error);
    } finally {
      makingOffer = false;
    }
  });

  pc.addEventListener("icecandidate", ({ candidate }) => {
    if (candidate) signalling.send({ candidate });
  });

  signalling.addEventListener("message", async ({ detail: { description, candidate } }) => {
    if (pc.signalingState === "closed") return;
    // Candidates of an offer that was ignored fit nothing here. By the time that one fails, the next description may have come.
    const tolerant = !description && ignoringOffer;
    try {
      if (description) await take(description);
      else await pc.addIceCandidate(candidate);
    } catch (error) {
      if (!tolerant) report(error);
    }
  });

  async function take(description) {
    const readyForOffer = !makingOffer && (pc.signalingState === "stable" || settingAnswer);
    const collision = description.type === "offer" && !readyForOffer;
    ignoringOffer = collision && !polite;
    if (ignoringOffer) return;

    settingAnswer = description.type === "answer";
    try {
      // On the polite end this takes back its own offer, if there is one.
      await pc.setRemoteDescription(settingAnswer ? inOldRole(pc, description) : description);
    } finally {
      settingAnswer = false;
    }
    if (description.type === "offer") {
      await pc.setLocalDescription();
      signalling.send({ description: pc.localDescription });
    }
  }
}

/**
 * Firefox answers the other end's ICE restart as DTLS client (`active`) even if it has been the server until then, which
 * other browsers refuse. Nothing but the word is wrong: the DTLS association goes on as it is.
 */
function inOldRole(pc, { type, sdp }) {
  const role = (description) => /^a=setup:(active|passive)/m.exec(description?.sdp)?.[1];
  const ours = role(pc.currentLocalDescription);
  const theirs = role(pc.currentRemoteDescription) ?? (ours && (ours === "active" ? "passive" : "active"));
  return { type, sdp: theirs ? sdp.replace(/^a=setup:(active|passive)/gm, `a=setup:${theirs}`) : sdp };
}
