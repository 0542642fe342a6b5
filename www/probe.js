// The table of servers, and what each of them answered.

import { count, gives, saysWhy } from "./words.js";

export class ProbeTable {
  #table;
  #summary;

  constructor(table, summary) {
    this.#table = table;
    this.#summary = summary;
  }

  /** `text` says what is going on. */
  clear(text) {
    this.#table.hidden = true;
    this.#summary.textContent = text;
  }

  /** `results` as `TurnSession.probe()` gives them. */
  show(results) {
    const answered = results.filter(({ ok }) => ok).length;
    this.#summary.textContent = `${answered} of ${count(results.length, "server")} ${answered === 1 ? "answers" : "answer"}.`;
    this.#table.tBodies[0].replaceChildren(...results.map(row));
    this.#table.hidden = false;
  }
}

function row({ url, ok, ms, candidateType, error }) {
  const address = document.createElement("code");
  address.textContent = url;
  const server = document.createElement("th");
  server.scope = "row";
  server.append(address);
  const answer = document.createElement("td");
  answer.dataset.tone = ok ? "good" : "bad";
  answer.textContent = ok ? gives(candidateType) : saysWhy(error);
  const after = document.createElement("td");
  after.dataset.cell = "after";
  after.textContent = `${Math.round(ms)} ms`;
  const line = document.createElement("tr");
  line.dataset.url = url;
  line.append(server, answer, after);
  return line;
}
