// A session's events as lines of the log.

import { count, explain, short, span, time } from "./words.js";

const WHY = {
  initial: "First credential",
  scheduled: "Fresh credential, on schedule",
  manual: "Fresh credential, because you asked",
  rejected: "Fresh credential, because the old one no longer serves",
  wake: "Fresh credential, after waking up",
};

/** Tells `log` what `session` does. `nameOf(connection)` is "A" or "B", or `null` for an end that is gone. */
export function tell(session, log, { nameOf, usernameOf }) {
  const end = (detail) => `End ${nameOf(detail.connection) ?? "that is gone"}`;
  const on = (type, write) => session.addEventListener(type, ({ detail }) => write(detail));

  on("refreshed", ({ reason, expiresAt, refreshAt }) => {
    const next = refreshAt === null ? "" : `, the next is due at ${time(refreshAt)}`;
    log.write("refreshed", `${WHY[reason]}: ${short(usernameOf())} lives until ${time(expiresAt)}${next}.`, "good");
  });
  on("refresherror", ({ error, attempts, retryAt }) => {
    const next = retryAt === null ? "No further try is planned." : `Next try in ${span(retryAt - Date.now())}.`;
    log.write("refresherror", `Refresh failed (${count(attempts, "time")} in a row): ${explain(error)} ${next}`, "bad");
  });
  on("expired", () => log.write("expired", "The credential ended before a fresh one came. The session goes on trying.", "bad"));
  on("applyerror", (detail) => log.write("applyerror", `${end(detail)} did not take the fresh servers: ${explain(detail.error)}`, "bad"));
  on("restarting", (detail) => {
    if (detail.initiator === "remote") return;
    const why = detail.reason === "repair" ? "to repair its path" : "to move to the fresh credential";
    log.write("restarting", `${end(detail)} restarts ICE ${why}.`);
  });
  on("restarted", (detail) => {
    const how = detail.initiator === "local" ? "is on its new relay" : "has followed";
    log.write("restarted", `${end(detail)} ${how}, ${Math.round(detail.duration)} ms after the restart began.`);
  });
  on("restartstalled", (detail) => log.write("restartstalled", `${end(detail)} waits for an offer: ${detail.message}`, "bad"));
  on("connectionlost", (detail) => log.write("connectionlost", `${end(detail)} cannot be repaired. The page builds the call anew.`, "bad"));
  on("warning", ({ message }) => log.write("warning", message));
  on("ttlassumed", ({ ttl }) => log.write("ttlassumed", `The backend named no lifetime; ${span(ttl * 1000)} is assumed.`, "bad"));
  on("closed", () => log.write("closed", "The session is closed."));
}
