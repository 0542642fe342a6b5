// The demo backend: where credentials come from, and what only a demo offers.

export const CREDENTIALS = "/api/turn-credentials";
export const REVOCATION = "/api/turn-credentials/revoke";

/** As the browser writes it down. The call by hand asks at an address with a query. */
const ADDRESS = new URL(CREDENTIALS, location.href).href;

const ALLOCATIONS = "/api/demo/turn";
const PROVIDER_REVOCATION = "/api/demo/revoke";

/**
 * Calls `listener({status, duration})` for each answer of the credential endpoint to turn-wasm, also for refusals. `status` is 0 if none came.
 * The browser's own record of requests is read: the session fetches by itself, and the page never sees a credential.
 */
export function watchAnswers(listener) {
  new PerformanceObserver((list) => {
    for (const { name, responseStatus, duration } of list.getEntries()) {
      if (name === ADDRESS) listener({ status: responseStatus, duration });
    }
  }).observe({ type: "resource" });
}

/** The relays in use at the embedded TURN server, `null` with a provider that does not tell. */
export async function liveAllocations() {
  const response = await fetch(ALLOCATIONS, { cache: "no-store" });
  if (response.status === 404) return null;
  if (!response.ok) throw await refusal(response);
  return (await response.json()).allocations;
}

/** Revokes as the provider itself would, without the session knowing. */
export async function revokeAtProvider(username) {
  const response = await fetch(PROVIDER_REVOCATION, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ username }),
  });
  if (!response.ok) throw await refusal(response);
}

/** The backend's reason for an answer that is not ok. */
export async function refusal(response) {
  const body = await response.json().catch(() => null);
  return new Error(body?.error?.message ?? `the demo server answered with status ${response.status}`);
}
