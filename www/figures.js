// Where the page shows what it knows about the call by turn-wasm alone, about the backend and the TURN server.

import { show } from "./panel.js";
import { count, short, span, time } from "./words.js";

const element = (id) => document.getElementById(id);

export const showText = (id, text) => show(element(id), text);

export function showEnd(end, path) {
  const row = document.querySelector(`#ends tr[data-end="${end.name}"]`);
  const cell = (name) => row.querySelector(`[data-cell="${name}"]`);
  show(cell("path"), path ? `${path.type} to ${path.remoteType}, ${path.protocol}` : end.pc.connectionState);
  show(cell("username"), path?.username ? short(path.username) : "–");
  show(cell("restarts"), String(end.restarts));
}

/** `status` is 0 if no answer came; `duration` in ms, `null` if it is not known. */
export function showAnswer({ status, duration }, answers) {
  const words = status === 0 ? "no answer" : duration === null ? String(status) : `${status}, in ${Math.round(duration)} ms`;
  showText("backend-status", `${words} (${time(Date.now())})`);
  element("backend-status").dataset.status = String(status);
  showText("backend-count", String(answers));
}

const DROPPED = {
  "port-53": "left out: port 53",
  transport: "left out: transport",
  max: "left out: enough others",
  invalid: "left out: not a valid address",
};

const TTL_SOURCE = {
  response: "from its answer",
  username: "from the username",
  option: "from the page's option",
  assumed: "assumed",
};

export function showServers({ ttl, ttlSource, urls, dropped }) {
  showText("backend-ttl", `${span(ttl * 1000)}, ${TTL_SOURCE[ttlSource]}`);
  showList("backend-urls", [...urls.map((url) => [url, ""]), ...dropped.map(({ url, reason }) => [url, DROPPED[reason]])]);
}

export function showAllocations(allocations) {
  element("allocations").hidden = false;
  showText("allocations-summary", allocations.length === 0 ? "No relay is in use." : `${count(allocations.length, "relay")} in use.`);
  const usernames = [...new Set(allocations.map(({ username }) => username))];
  const rows = usernames.map((username) => {
    const relays = allocations.filter((allocation) => allocation.username === username);
    const [{ expiresAt }] = relays;
    const end = expiresAt ? ` until ${time(Date.parse(expiresAt))}` : "";
    return [`${username}…`, `${count(relays.length, "relay")}${end}`];
  });
  showList("allocation-list", rows);
}

/** `rows` are pairs: an address or a name, and a remark that may be empty. */
function showList(id, rows) {
  const list = element(id);
  const wanted = JSON.stringify(rows);
  if (list.dataset.rows === wanted) return;
  list.dataset.rows = wanted;
  list.replaceChildren(
    ...rows.map(([term, remark]) => {
      const code = document.createElement("code");
      code.textContent = term;
      const item = document.createElement("li");
      item.append(code);
      if (remark) {
        const note = document.createElement("span");
        note.textContent = remark;
        item.append(note);
      }
      return item;
    }),
  );
}
