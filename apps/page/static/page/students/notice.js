// Says what was done, and offers to take it back.

import * as api from "../api.js";
import { cell, element } from "../dom.js";
import { sentenceFor } from "../sentences.js";
import { t } from "../strings.js";

export class Notice {
  /** @type {(() => string) | null} */
  #sentence = null;
  /** @type {{key: string, work(): Promise<void> | void} | null} */
  #deed = null;
  #failed;
  #text = element("span", { role: "status" });
  #button = cell("button", "", { type: "button", class: "quiet" });
  #trouble = element("p", { class: "problem", role: "alert" });
  #line = element("p", { class: "done" }, this.#text, this.#button);

  node = element("div", {}, this.#line, this.#trouble);

  /** @param {(problem: unknown) => void} failed takes a problem after which somebody has to sign in again */
  constructor(failed) {
    this.#failed = failed;
    this.#button.addEventListener("click", () => this.#do());
    this.render();
  }

  /** @param {() => string} sentence @param {() => Promise<void> | void} [work] what the button does
   *  @param {string} [key] of the button's text */
  show(sentence, work, key = "students_undo") {
    this.#sentence = sentence;
    this.#deed = work ? { key, work } : null;
    this.#trouble.textContent = "";
    this.render();
  }

  clear() {
    this.#sentence = this.#deed = null;
    this.#trouble.textContent = "";
    this.render();
  }

  /** Says what went wrong. @param {unknown} error */
  complain(error) {
    if (error instanceof api.ApiError && error.status === 401) return this.#failed(error);
    this.clear();
    this.#trouble.textContent = sentenceFor(error)();
  }

  /** Writes everything again, in the chosen language. */
  render() {
    this.#line.classList.toggle("shown", this.#sentence !== null);
    this.#text.textContent = this.#sentence?.() ?? "";
    this.#button.hidden = this.#deed === null;
    this.#button.textContent = this.#deed ? t(this.#deed.key) : "";
  }

  async #do() {
    const deed = this.#deed;
    if (!deed) return;
    this.#deed = null; // a second click must not do it again
    this.#button.setAttribute("disabled", "");
    try {
      await deed.work();
    } catch (error) {
      this.complain(error);
    }
    this.#button.removeAttribute("disabled");
  }
}
