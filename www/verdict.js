// How the two calls stand against each other, in a sentence or two. It is read out by screen readers whenever it changes, so
// it holds nothing that changes by the second.

/** `{text, tone}`; `tone` is "plain", "good" or "bad". */
export function verdict(sdk, plain) {
  if (sdk.call === null) return { text: "A credential is being fetched for each call…", tone: "plain" };
  if (sdk.call.state === "connecting") return { text: "The two ends of each call are looking for a path through the TURN server…", tone: "plain" };
  const { text, tone } = left(sdk);
  return { text: `${text} ${right(plain)}`.trim(), tone };
}

function left({ state, refreshes, ledger, direct }) {
  switch (state) {
    case "silent":
      return { text: "Nothing comes through the call by turn-wasm at the moment.", tone: "bad" };
    case "interrupted":
      return { text: "The path of the call by turn-wasm is interrupted; it is being repaired.", tone: "bad" };
    case "lost":
      return { text: "The call by turn-wasm is lost; it is being built anew.", tone: "bad" };
    default:
  }
  if (direct) return { text: "The call by turn-wasm is up, on a direct path that needs no relay.", tone: "good" };
  if (ledger.outlived > 0) return { text: "The call by turn-wasm goes on, on fresh credentials.", tone: "good" };
  if (refreshes > 0) return { text: "turn-wasm has fetched a fresh credential in time.", tone: "good" };
  return { text: "The call by turn-wasm is up.", tone: "plain" };
}

function right({ state, relayExpired, direct }) {
  switch (state) {
    case "connecting":
      return "The call by hand is being set up.";
    case "unavailable":
      return "The call by hand did not start.";
    case "lost":
      return relayExpired ? "The call by hand is lost: its credential ended, and its relays with it." : "The call by hand is lost.";
    case "silent":
    case "interrupted":
      return relayExpired
        ? "The call by hand has gone silent: its credential has ended, and its relays with it."
        : "The call by hand has gone silent.";
    default:
  }
  if (direct) return "So is the call by hand.";
  if (relayExpired) return "The credential of the call by hand has just ended.";
  return "The call by hand is up as well, on the credential that it began with.";
}

/** After hanging up. */
export function summary(sdk, plain) {
  const { received, lost } = sdk.messages;
  const number = sdk.ledger.outlived;
  const outlived = `${number} ${number === 1 ? "credential" : "credentials"}`;
  const first = `Hung up. The call by turn-wasm outlived ${outlived}; ${received.toLocaleString("en")} messages came through and ${lost.toLocaleString("en")} got lost.`;
  return plain.lostAt === null ? first : `${first} The call by hand had been lost before.`;
}
