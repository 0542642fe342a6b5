// What a connection's statistics say about the path it uses and the video it receives.

/** The local and the remote candidate of the selected pair, or `null` while there is none. */
export async function selectedPair(pc) {
  const stats = await pc.getStats();
  const entries = [...stats.values()];
  const transport = entries.find((entry) => entry.type === "transport" && entry.selectedCandidatePairId);
  // Firefox marks the pair itself.
  const pair = transport
    ? stats.get(transport.selectedCandidatePairId)
    : entries.find((entry) => entry.type === "candidate-pair" && entry.selected);
  if (!pair) return null;
  return { local: stats.get(pair.localCandidateId), remote: stats.get(pair.remoteCandidateId) };
}

/** Statistics of the video that arrives, or `null` while none does. */
export async function receivedVideo(pc) {
  const stats = await pc.getStats();
  for (const entry of stats.values()) {
    if (entry.type === "inbound-rtp" && entry.kind === "video") return entry;
  }
  return null;
}

/** Whether no relay carries a call whose two ends have these paths. */
export function isDirect(paths) {
  return paths.every((path) => path !== null && path.type !== "relay" && path.remoteType !== "relay");
}
