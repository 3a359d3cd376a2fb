// A dialog that asks before something is done that cannot be undone.

import { known, t } from "./strings.js";

export class Question {
  #dialog;
  #text;
  #lead;
  #yes;
  #no;
  /** @type {(() => void) | null} */
  #write = null;
  /** @type {((yes: boolean) => void) | null} */
  #answer = null;

  /** @param {HTMLDialogElement} dialog */
  constructor(dialog) {
    this.#dialog = dialog;
    this.#text = /** @type {HTMLElement} */ (dialog.querySelector("h2"));
    this.#lead = /** @type {HTMLElement} */ (dialog.querySelector(".lead"));
    this.#yes = /** @type {HTMLElement} */ (dialog.querySelector("[value=yes]"));
    this.#no = /** @type {HTMLElement} */ (dialog.querySelector("[value=no]"));
    dialog.addEventListener("close", () => {
      if (dialog.open) return; // the event comes a moment later: the next question was asked meanwhile
      this.#answer?.(dialog.returnValue === "yes");
      this.#answer = null;
    });
  }

  /** Whether the answer is yes. Escape is a no. @param {string} key of the question. `key_lead` says what will happen, and
   *  `key_yes` and `key_no` are the buttons. @param {{[name: string]: string}} [values] @returns {Promise<boolean>} */
  ask(key, values) {
    this.#write = () => {
      this.#text.textContent = t(key, values);
      this.#lead.textContent = t(`${key}_lead`, values);
      this.#yes.textContent = t(`${key}_yes`);
      this.#no.textContent = t(known(`${key}_no`) ? `${key}_no` : "keep");
    };
    this.render();
    this.#dialog.returnValue = "";
    this.#dialog.showModal();
    this.#no.focus(); // Enter by mistake does no harm
    this.#answer?.(false); // of a question that was closed just now, whose event has not come yet
    return new Promise((resolve) => { this.#answer = resolve; });
  }

  close() {
    if (this.#dialog.open) this.#dialog.close("no");
  }

  /** Writes everything again, in the chosen language. */
  render() {
    this.#write?.();
  }
}
