// Where credentials come from, and how they are revoked: the app's endpoint or its function.
import { TurnError } from "./error.js";

// The most of a body that is read, in bytes: 64 KiB. Every provider's response is below 4.
const BODY_MOST = 65536;
// How long the app's function may take, in milliseconds. It may have to sign the user in first.
const FUNCTION_MOST = 30000;

/** An HTTP status other than 2xx. What it means for the session is for the core to say. */
export class Refused {
  constructor({ status, headers }) {
    this.status = status;
    // RFC 9110 section 10.2.3: seconds or a date. NaN, which the core takes for none, without either.
    const after = headers.get("retry-after");
    const wait = /^\d+$/.test(after) ? after * 1000 : Date.parse(after) - Date.now();
    this.retryAfter = Math.min(Math.max(wait, 0), 1e15).toFixed();
  }
}

const retryable = (code, message, cause) => new TurnError(code, message, { retryable: true, cause });

const notJson = (what) =>
  retryable("response-not-json", `expected JSON from the credential endpoint, but ${what}; is the source option its address?`);

/** Fetches a credential: the parsed body. */
export async function fetchCredential(source, reason, controller) {
  if (typeof source === "function") return call(source, { reason, signal: controller.signal });
  const text = await send(source, controller);
  try {
    return JSON.parse(text);
  } catch {
    const start = text.trimStart();
    throw notJson(!start ? "the body is empty" : start[0] === "<" ? "this is HTML" : "the body is something else");
  }
}

/** Revokes a username. It may be the last thing that the page does, hence `keepalive`. */
export async function revokeUsername(revoke, username) {
  if (typeof revoke === "function") await call(revoke, username);
  else await send({ ...revoke, method: "POST", body: JSON.stringify({ username }) }, new AbortController(), true);
}

// Sends a request and reads the whole body, within its timeout.
async function send({ url, method, headers, body, credentials, timeout }, controller, keepalive) {
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    controller.abort();
  }, timeout);
  try {
    const given = new Headers(typeof headers === "function" ? await headers() : headers);
    if (body !== undefined && !given.has("content-type")) given.set("content-type", "application/json");
    const { signal } = controller;
    const response = await fetch(url, { method, headers: given, body, credentials, keepalive, signal, cache: "no-store" });
    if (!response.ok) {
      // Whatever still arrives of the body is not worth waiting for.
      controller.abort();
      throw new Refused(response);
    }
    return await read(response, controller);
  } catch (error) {
    if (late) throw retryable("timeout", `the endpoint did not answer in full within ${timeout} ms`);
    if (error instanceof Refused || error instanceof TurnError) throw error;
    throw retryable(
      "network",
      `the endpoint was not reached (${error?.message ?? error}); is the backend up, does it allow this origin (CORS), ` +
        "and does connect-src of the content security policy name it?",
      error,
    );
  } finally {
    clearTimeout(timer);
  }
}

// Reads a body up to its limit.
async function read({ body }, controller) {
  const reader = body?.getReader();
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let length = 0;
  let text = "";
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true };
    length += value?.length ?? 0;
    if (length > BODY_MOST) {
      controller.abort();
      throw new TurnError("response-too-large", "the response is larger than 64 KiB; is the source option the credential endpoint?");
    }
    try {
      text += decoder.decode(value, { stream: !done });
    } catch {
      throw notJson("it is no UTF-8 text");
    }
    if (done) return text;
  }
}

// Calls a function of the app and waits for what it promises, within a time.
function call(callback, argument) {
  return new Promise((resolve, reject) => {
    const late = () => reject(retryable("timeout", `the app's function did not settle within ${FUNCTION_MOST} ms`));
    const timer = setTimeout(late, FUNCTION_MOST);
    // A TurnError of the app's own decides whether to try again.
    const thrown = (cause) => reject(
      cause instanceof TurnError
        ? new TurnError(cause.code, cause.message, { ...cause, cause })
        : retryable("network", `the app's function threw: ${cause?.message ?? typeof cause}`, cause),
    );
    // Inside a promise, so that what it throws at once counts as well.
    Promise.resolve(argument).then(callback).then(resolve, thrown).finally(() => clearTimeout(timer));
  });
}
