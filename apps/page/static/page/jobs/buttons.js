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

  #heir;

  /** @param {HTMLElement} heir gets the focus if the button that has it disappears */
  constructor(heir) {
    this.#heir = heir;
    this.#cancel.addEventListener("click", () => this.#press(this.#cancel, "cancel"));
    this.#retry.addEventListener("click", () => this.#press(this.#retry, "retry"));
  }

  /** @param {Work} work */
  render(work) {
    if (this.#work?.record !== work.record) this.#trouble.textContent = "";
    this.#work = work;
    const name = nameOf(work.record);
    const focused = this.node.contains(document.activeElement);
    this.#show(this.#cancel, mayCancel(work), "cancel", name);
    this.#show(this.#retry, mayRetry(work.record, work.detail), "retry", name);
    if (focused) this.#passFocus();
  }

  /** Moves the focus on if it is on a button that is hidden now, or if the browser has taken it away from that button. */
  #passFocus() {
    const now = /** @type {HTMLElement} */ (document.activeElement);
    if (now === document.body || now.hidden) (this.#retry.hidden ? this.#heir : this.#retry).focus({ preventScroll: true });
  }

  /** @param {HTMLElement} button @param {boolean} shown @param {string} key @param {string} name */
  #show(button, shown, key, name) {
    button.hidden = !shown;
    button.textContent = t(key);
    button.setAttribute("aria-label", t(`${key}_named`, { name }));
  }

  /** @param {HTMLElement} button @param {"cancel" | "retry"} deed */
  async #press(button, deed) {
    const focused = document.activeElement === button;
    await whileDisabled(button, () => this.#do(deed));
    if (focused) this.#passFocus();
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
