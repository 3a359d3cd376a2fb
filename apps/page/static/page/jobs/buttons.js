// The buttons to cancel and to retry a job, which are there only where they are allowed and can help.

import { element, whileDisabled } from "../dom.js";
import { explain, t } from "../strings.js";
import { change, mayCancel, mayRetry } from "./deeds.js";
import { nameOf } from "./kinds.js";

/** @typedef {import("./register.js").Work} Work */

export class Buttons {
  /** @type {Work | null} */
  #work = null;
  #cancel = element("button", { type: "button", class: "quiet" });
  #retry = element("button", { type: "button", class: "quiet" });
  #trouble = element("p", { class: "problem", role: "alert" });

  node = element("div", { class: "deeds" }, this.#cancel, this.#retry, this.#trouble);

  constructor() {
    this.#cancel.addEventListener("click", () => whileDisabled(this.#cancel, () => this.#do("cancel")));
    this.#retry.addEventListener("click", () => whileDisabled(this.#retry, () => this.#do("retry")));
  }

  /** @param {Work} work */
  render(work) {
    if (this.#work?.record !== work.record) this.#trouble.textContent = "";
    this.#work = work;
    const name = nameOf(work.record);
    this.#show(this.#cancel, mayCancel(work), "cancel", name);
    this.#show(this.#retry, mayRetry(work.record, work.detail), "retry", name);
  }

  /** @param {HTMLElement} button @param {boolean} shown @param {string} key @param {string} name */
  #show(button, shown, key, name) {
    button.hidden = !shown;
    button.textContent = t(key);
    button.setAttribute("aria-label", t(`${key}_named`, { name }));
  }

  /** @param {"cancel" | "retry"} deed */
  async #do(deed) {
    if (!this.#work) return;
    this.#trouble.textContent = "";
    try {
      await change(this.#work.topic, deed);
    } catch (error) {
      const { code, message } = /** @type {{code: string, message: string}} */ (error);
      this.#trouble.textContent = explain("error", code, message);
    }
  }
}
