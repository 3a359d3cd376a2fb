// The tabs of the page: one panel is shown, the arrow keys move.

import { at } from "./dom.js";

export class Tabs {
  #names;
  #chosen;

  /** @param {string[]} names the ids of the panels; that of a panel's button begins with `tab-` */
  constructor(names) {
    this.#names = names;
    this.#chosen = names[0];
    for (const name of names) at(`tab-${name}`).addEventListener("click", () => this.show(name));
    at("tabs").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#onKey(event));
    this.show(this.#chosen);
  }

  /** The name of the panel that is shown. */
  get chosen() {
    return this.#chosen;
  }

  /** @param {string} name @param {boolean} [moveFocus] to the button of the panel */
  show(name, moveFocus = false) {
    this.#chosen = name;
    for (const one of this.#names) {
      const chosen = one === name;
      at(one).hidden = !chosen;
      at(`tab-${one}`).setAttribute("aria-selected", `${chosen}`);
      at(`tab-${one}`).tabIndex = chosen ? 0 : -1;
    }
    if (moveFocus) at(`tab-${name}`).focus();
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const count = this.#names.length;
    if (step) this.show(this.#names[(this.#names.indexOf(this.#chosen) + step + count) % count], true);
  }
}
