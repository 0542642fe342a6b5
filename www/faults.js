// What can be broken at a click, how it is put right again, and what the page says meanwhile.

import { restartTurn, revokeAtProvider, setFault } from "./backend.js";
import { count, short, span } from "./words.js";

const OFFLINE = 10; // seconds

/** Faults of the credential endpoint. They last until their button is pressed again, or another one. */
const BACKEND = {
  off: { fault: { mode: "status", status: 503 }, says: "The backend answers every request with 503." },
  busy: { fault: { mode: "retry-after", seconds: 5 }, says: "The backend answers every request with 429 and “Retry-After: 5”." },
  slow: { fault: { mode: "delay", seconds: 4 }, says: "The backend takes 4 s for each answer." },
};

/** Nothing has come through for so long: worth a word, in ms. */
const SILENCE = 1_500;

/** Events: `fault` with `{says, kind}` as `detail` when something was broken or put right. */
export class Faults extends EventTarget {
  #network;
  #current = null;

  constructor(network) {
    super();
    this.#network = network;
    // A fault must not outlive the page that asked for it.
    addEventListener("pagehide", () => {
      if (this.#current) setFault({ mode: "none" }).catch(() => {});
      if (network.backAt !== null) network.back().catch(() => {});
    });
    network.addEventListener("change", () => {
      if (network.backAt === null) this.#tell("The network is back.");
    });
  }

  /** Whether the fault of this name is in force. */
  lasts(name) {
    return name === "offline" ? this.#network.backAt !== null : name === this.#current;
  }

  /** Presses the button `name`. `sdk` and `plain` are the sides of the running call. */
  async press(name, { sdk, plain }) {
    switch (name) {
      case "revoke":
        return this.#revoke(sdk, plain);
      case "turn":
        await restartTurn();
        return this.#tell("The TURN server was restarted: all relays are gone.");
      case "offline":
        if (this.lasts(name)) return this.#network.back();
        await this.#network.leave(OFFLINE);
        return this.#tell(`The network is gone for ${OFFLINE} s.`);
      default:
        return this.lasts(name) ? this.clear() : this.#spoil(name, sdk);
    }
  }

  async #spoil(name, sdk) {
    const { fault, says } = BACKEND[name];
    await setFault(fault);
    this.#current = name;
    this.#tell(says);
    // So that nobody has to wait for the next refresh to see it. That it fails is the point.
    sdk.session.refresh().catch(() => {});
  }

  /** Puts the backend right. */
  async clear() {
    if (this.#current === null) return;
    await setFault({ mode: "none" });
    this.#current = null;
    this.#tell("The backend answers again as it should.");
  }

  async #revoke(sdk, plain) {
    const { username } = sdk;
    await revokeAtProvider(username);
    sdk.ledger.revoke(username);
    const both = plain.servers !== null && ["connected", "connecting"].includes(plain.state);
    if (both) {
      await revokeAtProvider(plain.servers.username);
      plain.revoked();
    }
    const too = both ? ", and so was the one of the call by hand" : "";
    this.#tell(`Credential ${short(username)} was revoked at the provider${too}. Nobody was told: the session repairs the path once the browser notices the silence.`, "revoked");
  }

  #tell(says, kind = "fault") {
    this.dispatchEvent(new CustomEvent("fault", { detail: { says, kind } }));
  }
}

/** What turn-wasm does at the moment, counting down to its next try: `{state, text}`. `silence` in ms. */
export function nextTry({ state, silence, call, network }) {
  const now = Date.now();
  const lives = `The credential in hand lives for another ${span(state.expiresAt - now)}.`;
  const asks = state.refreshAt === null ? "" : `asks again in ${span(state.refreshAt - now)}`;
  if (network.backAt !== null) {
    return { state: "offline", text: `Offline for another ${span(network.backAt - now)}. turn-wasm waits for the network. ${lives}` };
  }
  switch (state.status) {
    case "refreshing":
      return { state: "refreshing", text: `turn-wasm is waiting for the backend's answer. ${lives}` };
    case "retrying":
      return { state: "retrying", text: `${count(state.attempts, "request")} failed; turn-wasm ${asks}. ${lives}` };
    case "refused":
      return { state: "refused", text: `The backend refuses. turn-wasm asks again when the page wakes up or comes online, or at “Refresh now”. ${lives}` };
    case "expired":
      return { state: "expired", text: `The credential has ended. turn-wasm ${asks || "is asking for a fresh one"}.` };
    default:
  }
  if (call === "interrupted" || call === "lost") return { state: "repairing", text: "The path is interrupted. turn-wasm repairs it with an ICE restart." };
  if (silence > SILENCE) return { state: "silent", text: `Nothing has come through for ${span(silence)}. Browsers take some seconds to notice; then turn-wasm repairs the path.` };
  return { state: "well", text: `All is well. The next refresh is due in ${span(state.refreshAt - now)}.` };
}
