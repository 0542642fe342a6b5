// What happened, in words, newest first. Only the line above the list is read out: a list that grows would chatter.

import { time } from "./words.js";

/** More lines than anybody reads; a call may run for days. */
const LONGEST = 300;

export class Log {
  #list;
  #summary;

  constructor(list, summary) {
    this.#list = list;
    this.#summary = summary;
  }

  /** `kind` is the event's name; `tone` is "good", "bad" or "plain". */
  write(kind, text, tone = "plain") {
    const at = new Date();
    const moment = document.createElement("time");
    moment.dateTime = at.toISOString();
    moment.textContent = time(at);
    const words = document.createElement("span");
    words.textContent = text;
    const line = document.createElement("li");
    line.dataset.kind = kind;
    line.dataset.tone = tone;
    line.append(moment, words);
    this.#list.prepend(line);
    while (this.#list.childElementCount > LONGEST) this.#list.lastElementChild.remove();
    this.#summary.textContent = text;
  }
}
