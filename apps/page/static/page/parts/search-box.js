// A box to search with. It searches when somebody pauses typing.

import { element } from "../dom.js";
import { t } from "../strings.js";

const PAUSE_MS = 300;
const MOST_LETTERS = "100";
let made = 0;

export class SearchBox {
  #label;
  #onSearch;
  #hint;
  #timer = 0;
  #id = `search-${++made}`;
  #name = element("label", { for: this.#id });
  #input = /** @type {HTMLInputElement} */ (element("input", { id: this.#id, type: "search", autocomplete: "off", maxlength: MOST_LETTERS }));
  #explanation = element("span", { id: `${this.#id}-hint`, class: "hint" });
  node = element("p", { class: "search-box" }, this.#name, this.#input);

  /** @param {string} label a key @param {(text: string) => void} onSearch @param {string} [hint] the key of what may be searched for */
  constructor(label, onSearch, hint) {
    this.#label = label;
    this.#onSearch = onSearch;
    this.#hint = hint;
    this.#input.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.now(), PAUSE_MS);
    });
    if (hint) {
      this.#input.setAttribute("aria-describedby", this.#explanation.id);
      this.node.append(this.#explanation);
    }
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

  /** Searches without waiting, as after Enter. */
  now() {
    clearTimeout(this.#timer);
    this.#onSearch(this.value);
  }

  /** Searches for nothing more. */
  leave() {
    clearTimeout(this.#timer);
  }

  render() {
    this.#name.textContent = t(this.#label);
    this.#explanation.textContent = this.#hint ? t(this.#hint) : "";
  }
}
