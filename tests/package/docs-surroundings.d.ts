// What the code in the documentation takes for granted: names of the reader's own app. Used by docs.test.mjs.
import type { TurnSession } from "turn-wasm";

declare global {
  const openTurnSession: typeof import("turn-wasm").openTurnSession;
  let turn: TurnSession;
  const pc: RTCPeerConnection;
  const stream: MediaStream;
  const endpoint: string;
  /** A function that returns it in one place, the token itself in another. */
  const token: any;
  const TURN_KEY_ID: string;
  const TURN_KEY_API_TOKEN: string;
  let call: RTCPeerConnection;
  function startCall(pc: RTCPeerConnection): RTCPeerConnection;
  function callAgain(): void;
  function signIn(): void;
  function askToSignIn(): Promise<void>;
  function showRetryButton(message: string): void;
}
