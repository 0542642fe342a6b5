// The local description with its candidates in it, for apps without trickle ICE.
import { fail } from "./error.js";

// How often the state is looked at beside its event, in milliseconds: closing a connection fires none.
const LOOK = 100;

/** Resolves once gathering is complete, or after `timeout` ms with what is there. */
export async function localDescription(pc, timeout) {
  const until = performance.now() + timeout;
  for (;;) {
    if (pc.signalingState === "closed") fail("closed", "the connection was closed before its candidates were gathered");
    const description = pc.localDescription;
    if (!description) fail("invalid-option", "pc: has no local description yet; call setLocalDescription() first");
    const left = until - performance.now();
    if (pc.iceGatheringState === "complete" || left <= 0) return description;
    await new Promise((resolve) => {
      pc.addEventListener("icegatheringstatechange", resolve, { once: true });
      setTimeout(() => {
        pc.removeEventListener("icegatheringstatechange", resolve);
        resolve();
      }, Math.min(left, LOOK));
    });
  }
}
