// A box to search with. It searches when somebody pauses typing.

import { element } from "../dom.js";
import { t } from "../strings.js";

const PAUSE_MS = 300;
const MOST_LETTERS = "100";
let made = 0;

export class SearchBox {
  #label;
  #onSearch;
  #timer = 0;
  #id = `search-${++made}`;
  #name = element("label", { for: this.#id });
  #input = /** @type {HTMLInputElement} */ (element("input", { id: this.#id, type: "search", autocomplete: "off", maxlength: MOST_LETTERS }));
  node = element("p", {}, this.#name, this.#input);

  /** @param {string} label a key @param {(text: string) => void} onSearch */
  constructor(label, onSearch) {
    this.#label = label;
    this.#onSearch = onSearch;
    this.#input.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#onSearch(this.value), PAUSE_MS);
    });
    this.render();
  }

  get value() {
    return this.#input.value.trim();
  }

  set value(text) {
    this.#input.value = text;
  }

  focus() {
    this.#input.focus();
  }

  /** Searches for nothing more. */
  leave() {
    clearTimeout(this.#timer);
  }

  render() {
    this.#name.textContent = t(this.#label);
  }
}
