"use client";
// The React hook. A session is opened in an effect, never in a render, so that what React renders and throws away, on a
// server or twice under StrictMode, leaves nothing behind.
import { useEffect, useRef, useState } from "react";
import { openTurnSession } from "./index.js";

const NOTHING = { session: undefined, state: undefined, error: undefined };
const IDLE = { ...NOTHING, status: "idle" };
const OPENING = { ...NOTHING, status: "opening" };

// After which of a session's events its state is another one.
const CHANGES = ["statechange", "refreshed", "refresherror", "closed"];

// A function among the options, by itself or in a request, called as the latest render gave it: that of an earlier one sees
// the values of then for ever, an old bearer token for example.
const live = (given, read) =>
  typeof given === "function"
    ? (...values) => {
        const now = read();
        return (typeof now === "function" ? now : given)(...values);
      }
    : typeof given?.headers === "function"
      ? { ...given, headers: live(given.headers, () => read()?.headers) }
      : given;

export function useTurnSession(options, deps = []) {
  const [view, setView] = useState(OPENING);
  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
  });

  const wanted = options != null;
  useEffect(() => {
    if (!wanted) return;
    const { source, revoke, signal } = latest.current;
    const controller = new AbortController();
    const abort = () => controller.abort();
    const foreign = signal instanceof AbortSignal;
    if (foreign && signal.aborted) abort();
    if (foreign) signal.addEventListener("abort", abort, { signal: controller.signal });

    let shown = true;
    const show = (view) => shown && setView({ ...NOTHING, ...view });
    openTurnSession({
      ...latest.current,
      source: live(source, () => latest.current?.source),
      revoke: live(revoke, () => latest.current?.revoke),
      signal: foreign || signal == null ? controller.signal : signal,
    }).then(
      (session) => {
        const look = () => {
          const { state } = session;
          show({ status: state.status === "closed" ? "closed" : "open", session, state });
        };
        for (const type of CHANGES) session.addEventListener(type, look);
        look();
      },
      (error) => show({ status: "failed", error }),
    );
    return () => {
      shown = false;
      // Ends the session, or the fetch that was to open it.
      abort();
      setView(OPENING);
    };
  }, [wanted, ...deps]);

  return wanted ? view : IDLE;
}
