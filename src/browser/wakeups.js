// The events after which the clock must be looked at anew, whatever the timers say. `resume`: the page was frozen
// (Page Lifecycle). A worker has no document.
import { OFFLINE, ONLINE, WOKE } from "./report.js";

const REPORTS = { online: ONLINE, offline: OFFLINE };

/** Listens until the function it returns is called. `heard` gets what to report. */
export function listenForWakeups(heard) {
  const { document } = globalThis;
  const targets = [
    [globalThis, ["online", "offline", "pageshow"]],
    ...(document ? [[document, ["visibilitychange", "resume"]]] : []),
  ];
  const listener = ({ type }) => {
    if (type === "visibilitychange" && document.visibilityState === "hidden") return;
    heard(REPORTS[type] ?? WOKE);
  };
  const each = (method) => {
    for (const [target, events] of targets) for (const event of events) target[method]?.(event, listener);
  };
  each("addEventListener");
  return () => each("removeEventListener");
}
