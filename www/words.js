// What the page says: times, usernames and errors in words.

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

/** A moment (ms since the epoch) as the clock shows it. */
export function time(at) {
  return clock.format(at);
}

/** A span of time in ms: "23 s", "4 min 05 s", "3 h 12 min", "1 d 4 h". */
export function span(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${String(seconds % 60).padStart(2, "0")} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

/** A username's first characters. The rest is half of a secret. */
export function short(username) {
  return username.length > 8 ? `${username.slice(0, 8)}…` : username;
}

/** An error as a sentence that says what to do. */
export function explain(error) {
  switch (error.code ?? error.name) {
    case "unsupported-environment":
      return `This browser cannot run the call: ${sentence(error.message)} Use a current Chrome, Edge or Firefox.`;
    case "network":
      return "The backend does not answer. Check that the demo server is still running, then try again.";
    case "timeout":
      return "The backend took too long to answer. Try again in a moment; if it stays slow, look at the server's log.";
    case "http-status":
      return refusal(error.status);
    case "response-too-large":
    case "response-not-json":
    case "response-invalid":
      return `The backend's answer could not be used: ${sentence(error.message)} Check what the credential endpoint sends.`;
    case "expired":
      return "The credential has expired and no fresh one came. Check that the demo server is running, then press “Refresh now”.";
    case "NotAllowedError":
      return "The camera is not allowed for this page. Allow it beside the address, or send the test picture.";
    case "NotFoundError":
      return "No camera was found. Connect one, or send the test picture.";
    case "NotReadableError":
      return "The camera is in use elsewhere. Close the other program, or send the test picture.";
    default:
      return sentence(error.message ?? String(error));
  }
}

/** What a server gave, by the type of its candidate. */
export function gives(candidateType) {
  switch (candidateType) {
    case "relay":
      return "A relay";
    case "srflx":
      return "This device's address, as others see it";
    default:
      return "This device's own address: there is no NAT between";
  }
}

/** Why a server gave nothing. Code 0 is no code of a server's. */
export function saysWhy({ code, message }) {
  return sentence(code === 0 ? message : `${message} (${code})`);
}

function refusal(status) {
  switch (status) {
    case 401:
      return "The backend does not know this page any more. Load the page again to start a new session.";
    case 403:
      return "The backend refuses requests from this address. Open the page at the address that the server printed.";
    case 429:
      return "The backend was asked too often. Wait some seconds, then try again.";
    case 502:
    case 503:
      return `The backend cannot get credentials from the TURN provider (status ${status}). Try again in a moment; the server's log says more.`;
    default:
      return `The backend answered with status ${status} instead of a credential. The server's log says why.`;
  }
}

function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

/** What the browser lacks for the call, in words, or `null` if it has everything. */
export function missing() {
  const needs = [
    ["WebAssembly", typeof WebAssembly === "object"],
    ["WebRTC", typeof RTCPeerConnection === "function"],
    ["ICE restarts", typeof RTCPeerConnection === "function" && "restartIce" in RTCPeerConnection.prototype],
    ["video from a canvas", "captureStream" in HTMLCanvasElement.prototype],
  ];
  const lacking = needs.filter(([, there]) => !there).map(([name]) => name);
  if (lacking.length === 0) return null;
  return `This browser cannot make the call: it lacks ${lacking.join(" and ")}, or has it switched off. Use a current Chrome, Edge or Firefox.`;
}
