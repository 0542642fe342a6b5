// What happened, in words, newest first. It is no live region: a list that grows would chatter.

import { time } from "./words.js";

/** More lines than anybody reads; a call may run for days. */
const LONGEST = 300;

/** How long the button says that it has copied, in ms. */
const COPIED = 2_000;

export class Log {
  #list;
  #summary;
  #copy;

  constructor({ list, summary, filter, copy }) {
    this.#list = list;
    this.#summary = summary;
    this.#copy = copy;
    const choose = () => {
      list.dataset.filter = filter.value;
    };
    filter.addEventListener("change", choose);
    // Browsers keep a form's values over a reload.
    choose();
    copy.addEventListener("click", () => this.#copyAll());
  }

  /** `kind` is the event's name, with "plain-" before it for the call by hand; `tone` is "good", "bad" or "plain". */
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
    line.dataset.side = kind.startsWith("plain-") ? "plain" : ["fault", "revoked"].includes(kind) ? "both" : "sdk";
    line.append(moment, words);
    this.#list.prepend(line);
    while (this.#list.childElementCount > LONGEST) this.#list.lastElementChild.remove();
    this.#summary.textContent = text;
    this.#copy.disabled = false;
  }

  /** The lines that are shown, oldest first, with their full times. */
  get #text() {
    const shown = [...this.#list.children].filter((line) => line.offsetParent !== null);
    return shown.map((line) => `${line.firstChild.dateTime} ${line.lastChild.textContent}`).reverse().join("\n");
  }

  async #copyAll() {
    try {
      await navigator.clipboard.writeText(this.#text);
      this.#say("Copied");
    } catch {
      getSelection().selectAllChildren(this.#list);
      this.#say("Selected: copy it now");
    }
  }

  #say(words) {
    this.#copy.textContent = words;
    setTimeout(() => {
      this.#copy.textContent = "Copy";
    }, COPIED);
  }
}
