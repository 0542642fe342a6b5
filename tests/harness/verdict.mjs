// What the end-to-end tests hold a call of the package to.
import assert from "node:assert/strict";

const INTERVAL_MS = 20;

/** Prints a call's figures. */
export function describeCall(t, title, { ends, heard }) {
  const durations = heard.filter(({ type }) => type === "restarted").map(({ detail }) => Math.round(detail.duration));
  t.diagnostic(
    `${title}: ${ends.map((end) => end.received)} messages each way, lost ${ends.map((end) => end.sent - end.received)}, ` +
      `repeated ${ends.map((end) => end.repeated)}, largest gap ${ends.map((end) => end.largestGap)} ms ` +
      `(between sends ${ends.map((end) => end.largestSendGap)} ms)`,
  );
  t.diagnostic(
    `${title}: ${heard.filter(({ type }) => type === "refreshed").length} refreshes, restarts in ms: ${durations.join(" ") || "none"}`,
  );
}

/** Fails unless the call is alive, nothing was lost or repeated, and no gap between arrivals reached a second. */
export function assertCallLived({ ends, events }, { seconds, largestGap = 1000 }) {
  const failed = events.filter(({ what, value }) => what === "connectionState" && ["failed", "disconnected"].includes(value));
  assert.deepEqual(failed, [], "a connection was interrupted");
  for (const [index, end] of ends.entries()) {
    const whose = `messages of end ${index}`;
    assert.deepEqual(end.errors, [], `signalling errors at end ${index}`);
    assert.equal(end.connectionState, "connected", `end ${index}`);
    // A busy machine delays the timer that sends; half of the messages still show that the call went on throughout.
    assert.ok(end.sent > (seconds * 1000) / INTERVAL_MS / 2, `${whose}: only ${end.sent} sent`);
    assert.equal(end.lost, 0, `${whose}: lost`);
    assert.equal(end.received, end.sent, `${whose}: received`);
    assert.equal(end.repeated, 0, `${whose}: repeated`);
    assert.ok(end.largestGap < largestGap, `${whose}: a gap of ${end.largestGap} ms between arrivals`);
  }
}

/** Fails unless every selected pair that was sampled is relayed, by an allocation whose credential lived. Returns the least ms that one had left. */
export function assertNeverStale(pairs, { credentials, allocations }) {
  let closest = Infinity;
  for (const { at, end, type, port } of pairs) {
    assert.equal(type, "relay", `end ${end} used a ${type} candidate`);
    const allocation = allocations.findLast((candidate) => candidate.port === port && candidate.createdAt <= at + 50);
    assert.ok(allocation, `no allocation has port ${port}`);
    const left = credentials.get(allocation.username).expiresAt - at;
    closest = Math.min(closest, left);
    assert.ok(left > 0, `end ${end} stood on ${allocation.username} ${-left} ms after its expiry`);
  }
  return closest;
}
