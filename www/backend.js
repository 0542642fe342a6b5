// The demo backend: where credentials come from, and what only a demo offers.

export const CREDENTIALS = "/api/turn-credentials";
export const REVOCATION = "/api/turn-credentials/revoke";

/** As the browser writes it down. The call by hand asks at an address with a query. */
const ADDRESS = new URL(CREDENTIALS, location.href).href;

const ABOUT = "/api/demo";
const ALLOCATIONS = "/api/demo/turn";
const PROVIDER_REVOCATION = "/api/demo/revoke";
const FAULTS = "/api/demo/faults";
const TURN_RESTART = "/api/demo/turn/restart";
const TURN_SILENCE = "/api/demo/turn/silence";

/** What this server offers: `{ttl, maxTtl, embedded, faults}`, ttl in seconds. */
export async function about() {
  const response = await fetch(ABOUT, { cache: "no-store" });
  if (!response.ok) throw await refusal(response);
  return response.json();
}

/**
 * Calls `listener({status, duration})` for each good answer of the credential endpoint to turn-wasm, `duration` in ms. The
 * browser's own record of requests is read: the session fetches by itself, and the page never sees a credential. Of an answer
 * that is not read to its end Chromium keeps no record, so refusals are the `refresherror` event's to tell.
 */
export function watchAnswers(listener) {
  new PerformanceObserver((list) => {
    for (const { name, responseStatus, duration } of list.getEntries()) {
      if (name === ADDRESS && responseStatus >= 200 && responseStatus < 300) listener({ status: responseStatus, duration });
    }
  }).observe({ type: "resource" });
}

/** The relays in use at the embedded TURN server. */
export async function liveAllocations() {
  const response = await fetch(ALLOCATIONS, { cache: "no-store" });
  if (!response.ok) throw await refusal(response);
  return (await response.json()).allocations;
}

async function post(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    keepalive: true,
  });
  if (!response.ok) throw await refusal(response);
}

/** Revokes as the provider itself would, without the session knowing. */
export const revokeAtProvider = (username) => post(PROVIDER_REVOCATION, { username });

/** How the credential endpoint misbehaves from now on, such as `{mode: "status", status: 503}`, or `{mode: "none"}`. */
export const setFault = (fault) => post(FAULTS, fault);

/** The embedded TURN server loses all its allocations. */
export const restartTurn = () => post(TURN_RESTART, {});

/** The embedded TURN server takes in and sends out nothing for so many seconds; 0 ends it. */
export const silenceTurn = (seconds) => post(TURN_SILENCE, { seconds });

/** The backend's reason for an answer that is not ok. */
export async function refusal(response) {
  const body = await response.json().catch(() => null);
  return new Error(body?.error?.message ?? `the demo server answered with status ${response.status}`);
}
