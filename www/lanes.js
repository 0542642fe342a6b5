// The lives of both calls' credentials side by side, and until when each call has lived: the whole story in one picture.

/** Lives of a credential that are seen at once. */
const SPAN = 3.2;

/** Where in the picture the present stands once the calls last longer, as a share of its width. */
const PRESENT = 0.7;

export class Lanes {
  #lanes;

  /** `element` holds one `[data-lane]` for each side. */
  constructor(element) {
    this.#lanes = Object.fromEntries([...element.querySelectorAll("[data-lane]")].map((lane) => [lane.dataset.lane, lane]));
  }

  /** What is going to happen, before it does: in lives of a credential. */
  foresee() {
    const turns = [0, 0.62, 1.24, 1.86, 2.48];
    this.#draw("sdk", turns.map((from, index) => bar(`future ${row(index)}`, from / SPAN, (from + 1) / SPAN)));
    this.#draw("plain", [bar(`future ${row(0)}`, 0, 1 / SPAN), bar("silence future", 1 / SPAN, 1, "then silence")]);
  }

  /** What has happened. `sdk` and `plain` are the sides of the running calls. */
  show(sdk, plain) {
    const [first] = [...sdk.ledger.lives, ...plain.ledger.lives];
    if (!first) return;
    const span = SPAN * Math.max(1_000, first.to - first.from);
    const now = Date.now();
    const start = Math.max(first.from, now - PRESENT * span);
    const at = (time) => (time - start) / span;
    const present = bar("present", at(now), at(now));
    for (const [name, side] of Object.entries({ sdk, plain })) {
      const lives = side.ledger.lives.map(({ from, to, over }, index) => bar(`${over ? "over" : "live"} ${row(index)}`, at(from), at(to)));
      const heard = side.call && side.call.heardUntil > 0 ? now - side.silence : null;
      const silence = heard !== null && now - heard > 2_000 ? [bar("silence", at(heard), at(now), "silence")] : [];
      this.#draw(name, [...lives, ...silence, present]);
    }
  }

  #draw(name, bars) {
    const lane = this.#lanes[name];
    const seen = bars.filter(({ from, to }) => to >= 0 && from <= 1);
    while (lane.childElementCount > seen.length) lane.lastElementChild.remove();
    while (lane.childElementCount < seen.length) lane.append(document.createElement("span"));
    for (const [index, { kind, from, to, words }] of seen.entries()) {
      const element = lane.children[index];
      const left = Math.max(0, from);
      if (element.className !== kind) element.className = kind;
      if (element.textContent !== words) element.textContent = words;
      element.style.left = `${(100 * left).toFixed(2)}%`;
      element.style.width = `${(100 * (Math.min(1, to) - left)).toFixed(2)}%`;
    }
  }
}

/** A credential overlaps with the one before it, so they lie in two rows by turns. */
function row(index) {
  return index % 2 === 0 ? "first" : "second";
}

/** `from` and `to` are shares of the picture's width. */
function bar(kind, from, to, words = "") {
  return { kind, from, to, words };
}
