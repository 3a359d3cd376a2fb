// The dialog that shows a one-time code. When it is closed, the page forgets the code.

import { cell, element } from "../dom.js";
import { t } from "../strings.js";
import { dateOf } from "./facts.js";

/** @typedef {import("./facts.js").Person} Person */

export class CodeDialog {
  /** @type {{person: Person, code: string, expires_at: string} | null} */
  #shown = null;
  /** @type {(() => string) | null} */
  #said = null;
  #title = element("h2", { id: "people-code-title" });
  #close = element("button", { type: "button", class: "quiet" });
  #lead = element("p", { class: "lead" });
  #code = element("output", { class: "code", id: "people-code" });
  #copy = element("button", { type: "button", class: "main" });
  #facts = element("ul", { class: "hint" });
  #status = element("p", { class: "doing", role: "status" });
  #dialog = /** @type {HTMLDialogElement} */ (element("dialog", { class: "form-dialog code-dialog", "aria-labelledby": "people-code-title" },
    element("header", {}, this.#title, this.#close),
    element("div", {}, this.#lead, this.#code, element("p", {}, this.#copy), this.#status, this.#facts)));

  /** @param {HTMLElement} parent */
  constructor(parent) {
    parent.append(this.#dialog);
    this.#close.addEventListener("click", () => this.#dialog.close());
    this.#copy.addEventListener("click", () => this.#copyCode());
    this.#dialog.addEventListener("close", () => this.#forget());
  }

  /** @param {Person} person @param {{code: string, expires_at: string}} issued */
  open(person, { code, expires_at }) {
    this.#shown = { person, code, expires_at };
    this.render();
    this.#dialog.showModal();
    this.#copy.focus();
  }

  close() {
    this.#dialog.close();
    this.#forget();
  }

  render() {
    const { person, code = "", expires_at = "" } = this.#shown ?? {};
    this.#title.textContent = person ? t("people_code_title", { name: person.name }) : "";
    this.#close.textContent = t("close");
    this.#lead.textContent = t("people_code_lead");
    this.#code.setAttribute("aria-label", t("people_code_label"));
    if (this.#code.textContent !== code) this.#code.textContent = code;
    this.#copy.textContent = t("people_copy");
    this.#status.textContent = this.#said?.() ?? "";
    const sentences = person ? [t("people_code_expires", { time: dateOf(expires_at) }), t("people_code_how")] : [];
    if (person?.has_password) sentences.push(t("people_code_replaces"));
    this.#facts.replaceChildren(...sentences.map((text) => cell("li", text)));
  }

  async #copyCode() {
    try {
      await navigator.clipboard.writeText(this.#shown?.code ?? ""); // there is no clipboard without TLS
      this.#said = () => t("people_copied");
    } catch {
      getSelection()?.selectAllChildren(this.#code);
      this.#said = () => t("people_not_copied");
    }
    this.render();
  }

  #forget() {
    this.#shown = this.#said = null;
    this.render();
  }
}
