// Dead letters: look at them, send them back, delete them. Looking takes some seconds, so it is done only when asked for.

import { cell, element } from "../dom.js";
import { sentenceFor } from "../sentences.js";
import { known, t, when } from "../strings.js";

/**
 * @typedef {{queue: string, id: string, given_up_at: number, receives: number, tenant: string, about: string, reason: string}} Letter
 * @typedef {(path: string, json?: object) => Promise<any>} Ask
 */

export class Letters {
  #title = element("h2", { id: "letters-title", tabindex: "-1" });
  #lead = element("p", { class: "lead" });
  #look = cell("button", "", { type: "button" });
  #status = element("p", { class: "doing", role: "status" });
  #problem = element("p", { class: "problem", role: "alert" });
  #list = element("ul", { class: "cards" });
  /** @type {Letter[]} */
  #letters = [];
  /** @type {() => string} */
  #said = () => "";
  /** @type {(() => string) | null} */
  #trouble = null;
  #busy = false;
  #ask;
  #question;

  /** @param {HTMLElement} parent @param {Ask} ask @param {(key: string, values: {[name: string]: string}) => Promise<boolean>} question */
  constructor(parent, ask, question) {
    this.#ask = ask;
    this.#question = question;
    this.#look.addEventListener("click", () => this.#read());
    parent.append(this.#title, this.#lead, element("p", { class: "actions" }, this.#look), this.#status, this.#problem, this.#list);
    this.render();
  }

  /** Writes everything again, in the chosen language. */
  render() {
    this.#title.textContent = t("operations_letters");
    this.#lead.textContent = t("operations_letters_lead");
    this.#look.textContent = t("operations_letters_look");
    this.#status.textContent = this.#said();
    this.#problem.textContent = this.#trouble?.() ?? "";
    this.#list.replaceChildren(...this.#letters.map((letter) => this.#card(letter)));
  }

  #read() {
    this.#said = () => t("operations_letters_looking");
    return this.#do(async () => {
      this.#letters = (await this.#ask("dead-letters/")).results;
      this.#said = () => (this.#letters.length ? t("operations_letters_found", { n: this.#letters.length }) : t("operations_letters_none"));
    });
  }

  /** @param {"send-back" | "delete"} what @param {Letter} letter @param {string} done the key of what is said then */
  async #act(what, letter, done) {
    const { queue, id } = letter;
    await this.#do(async () => {
      await this.#ask(`dead-letters/${what}/`, { queue, id });
      this.#letters = this.#letters.filter((each) => each.id !== id);
      this.#said = () => t(done, { name: this.#nameOf(letter) });
    });
    this.#title.focus(); // the button that was used is gone, or what went wrong is said above the list
  }

  /** Does one thing at a time. @param {() => Promise<void>} work */
  async #do(work) {
    if (this.#busy) return;
    this.#busy = true;
    this.#trouble = null;
    this.render();
    try {
      await work();
    } catch (error) {
      this.#said = () => "";
      this.#trouble = sentenceFor(error);
    } finally {
      this.#busy = false;
      this.render();
    }
  }

  /** @param {Letter} letter */
  #nameOf({ tenant, about }) {
    return t(tenant ? "operations_letter_of" : "operations_letter_of_none", { tenant, about });
  }

  /** @param {Letter} letter */
  #card(letter) {
    const name = this.#nameOf(letter);
    const back = this.#button("operations_send_back", "operations_send_back_named", name, () => this.#act("send-back", letter, "operations_sent_back"));
    const remove = this.#button("operations_delete_letter", "operations_delete_named", name, async () => {
      if (await this.#question("operations_delete", { name })) await this.#act("delete", letter, "operations_deleted");
    });
    const queue = known(`operations_queue_${letter.queue}`) ? t(`operations_queue_${letter.queue}`) : letter.queue;
    const facts = t("operations_letter_facts", { when: when(letter.given_up_at), n: letter.receives });
    return element("li", { class: "card" }, element("header", {}, cell("h3", name), cell("span", queue, { class: "chip" })),
      cell("p", letter.reason, { lang: "en" }), cell("p", facts, { class: "meta" }), element("p", { class: "deeds" }, back, remove));
  }

  /** @param {string} key @param {string} label @param {string} name @param {() => unknown} work */
  #button(key, label, name, work) {
    const button = cell("button", t(key), { type: "button", class: "quiet", "aria-label": t(label, { name }) });
    button.toggleAttribute("disabled", this.#busy);
    button.addEventListener("click", work);
    return button;
  }
}
