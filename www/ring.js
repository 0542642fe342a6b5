// The ring that shows how much of a credential's life is left, with a mark where the next refresh is due.

export class Ring {
  #left;
  #refresh;

  /** `refresh` is the mark's element, `null` where there is none. */
  constructor(left, refresh) {
    this.#left = left;
    this.#refresh = refresh;
  }

  /** `left` and `refresh` are shares of the whole life, 0 to 1; `refresh` is `null` if none is planned. */
  show(left, refresh) {
    const percent = 100 * Math.min(1, Math.max(0, left));
    this.#left.setAttribute("stroke-dasharray", `${percent.toFixed(2)} 100`);
    this.#left.dataset.level = left > 0.5 ? "high" : left > 0.25 ? "middle" : "low";
    if (refresh === null || refresh < 0 || refresh > 1) {
      this.#refresh?.setAttribute("visibility", "hidden");
    } else {
      this.#refresh?.setAttribute("visibility", "visible");
      this.#refresh?.setAttribute("transform", `rotate(${(360 * refresh).toFixed(1)} 60 60)`);
    }
  }

  clear() {
    this.show(0, null);
  }
}
