/**
 * turn-wasm for React 18 and newer: one hook, which opens a session for as long as a component is there.
 *
 * @module turn-wasm/react
 */
import type { TurnError, TurnSession, TurnSessionOptions, TurnSessionState } from "./index.js";

/**
 * Opens a session when the component is mounted and closes it (without revocation) when it is unmounted. The component
 * renders anew when {@link TurnSessionState.status}, its moments or its last error change. Does nothing while a server renders.
 *
 * The options are read when the session opens, and a change of them opens no other one, so that they may be written as a literal. Functions
 * among them (`source`, `revoke`, and the `headers` of a request) are called as the latest render gave them.
 *
 * @param options Those of `openTurnSession`, or `null` for no session, as long as nobody is signed in.
 * @param deps At whose change the session is closed and another one opened, compared as those of `useEffect`. Default: none.
 */
export function useTurnSession(options: TurnSessionOptions | null | undefined, deps?: readonly unknown[]): TurnSessionView;

/** What {@link useTurnSession} returns, told apart by `status`. A new object when something changed, else the same. */
export type TurnSessionView = PendingTurnSession | OpenTurnSession | FailedTurnSession;

/** There is no session yet. */
export interface PendingTurnSession {
  /** `idle`: there are no options. `opening`: the first credential is being fetched, or a server renders. */
  readonly status: "idle" | "opening";
  /** Not there yet. */
  readonly session: undefined;
  /** Not there yet. */
  readonly state: undefined;
  /** Nothing has gone wrong. */
  readonly error: undefined;
}

/** There is a session. */
export interface OpenTurnSession {
  /** `open`: it keeps its connections fresh. `closed`: the app closed it, or aborted its `signal`. */
  readonly status: "open" | "closed";
  /** The same object for as long as it is open, so that effects may depend on it. */
  readonly session: TurnSession;
  /** Its state when it last changed. `connections` and `urls` may be older than those of `session.state`. */
  readonly state: TurnSessionState;
  /** Nothing went wrong at the opening; what goes wrong later is in `state.lastError`. */
  readonly error: undefined;
}

/** No session could be opened. */
export interface FailedTurnSession {
  /** It is not tried again by itself: another value in `deps` does. */
  readonly status: "failed";
  /** There is none. */
  readonly session: undefined;
  /** There is none. */
  readonly state: undefined;
  /** Why `openTurnSession` rejected. */
  readonly error: TurnError;
}
