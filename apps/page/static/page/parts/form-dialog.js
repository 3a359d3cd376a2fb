// A form in a dialog: its fields, what is wrong with each of them, and a button that saves.
//
// The browser checks nothing, because it would tell of one field at a time: the server names all wrong fields at once.

import { cell, element } from "../dom.js";
import { sentenceFor } from "../sentences.js";
import { explain, known, t } from "../strings.js";

/**
 * A field. `label` and `hint` are keys. With `options`, which returns pairs of a value and its text, the field is a
 * `<select>`, and otherwise an `<input>`. `attributes` are further attributes of that element.
 * @typedef {{name: string, label: string, hint?: string, options?(): [value: string, text: string][],
 *   attributes?: {[name: string]: string}}} Field
 * `title` and `send` are keys. `work` gets the values of the fields and saves them, and `open` returns its result.
 * `failed` gets a problem after which the user has to sign in again.
 * @typedef {{title: string, send?: string, fields: Field[], work(values: {[name: string]: string}): Promise<any>,
 *   failed(problem: unknown): void}} Options
 */

let made = 0;

export class FormDialog {
  #id = `form-${++made}`;
  #options;
  #title = element("h2", { id: `${this.#id}-heading` });
  #close = cell("button", "", { type: "button", class: "quiet" });
  #fields = element("fieldset", { class: "form-fields" });
  #problem = element("p", { class: "problem", role: "alert" });
  #send = cell("button", "", { class: "main" });
  #form = /** @type {HTMLFormElement} */ (element("form", { novalidate: "" }, this.#fields, this.#problem, element("p", { class: "actions" }, this.#send)));
  #dialog = /** @type {HTMLDialogElement} */ (element("dialog", { class: "form-dialog", "aria-labelledby": `${this.#id}-heading` },
    element("header", {}, this.#title, this.#close), this.#form));
  /** @type {any} */
  #answer = null;
  /** What was wrong when it was sent last. @type {any} */
  #error = null;

  /** @param {HTMLElement} parent @param {Options} options */
  constructor(parent, options) {
    this.#options = options;
    parent.append(this.#dialog);
    this.#close.addEventListener("click", () => this.#dialog.close());
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
  }

  /** Opens the form. Returns what `work` has returned, or null if the form was closed without it.
   *  @param {{[name: string]: string}} [values] of the fields, at first @returns {Promise<any>} */
  open(values = {}) {
    this.#answer = null;
    this.#error = null;
    this.#fields.replaceChildren(...this.#options.fields.map((field) => this.#line(field, values[field.name] ?? "")));
    this.render();
    this.#dialog.showModal();
    this.#inputs()[0]?.focus();
    return new Promise((resolve) => this.#dialog.addEventListener("close", () => resolve(this.#answer), { once: true }));
  }

  /** Closes the form, as when another view is shown. */
  close() {
    this.#dialog.close();
  }

  /** Writes everything again, in the chosen language. What was filled in stays. */
  render() {
    const { title, send = "save", fields } = this.#options;
    this.#title.textContent = t(title);
    this.#close.textContent = t("close");
    this.#send.textContent = t(send);
    for (const [index, line] of [...this.#fields.children].entries()) this.#translate(fields[index], line);
    const named = fields.some(({ name }) => this.#error?.fields?.[name]);
    this.#problem.textContent = this.#error && !named ? sentenceFor(this.#error)() : "";
  }

  #inputs() {
    return /** @type {NodeListOf<HTMLInputElement | HTMLSelectElement>} */ (this.#fields.querySelectorAll("input, select, textarea"));
  }

  /** @param {Field} field @param {string} value */
  #line({ name, options, attributes = {} }, value) {
    const id = `${this.#id}-${name}`;
    const all = { id, name, "aria-describedby": `${id}-hint ${id}-problem`, ...attributes };
    const input = /** @type {HTMLInputElement | HTMLSelectElement} */ (element(options ? "select" : "input", all));
    if (input instanceof HTMLSelectElement) this.#fill(input, options?.() ?? []);
    if (value || !options) input.value = value;
    return element("div", { class: "form-field" }, element("label", { for: id }), input,
      element("p", { id: `${id}-hint`, class: "hint" }), element("p", { id: `${id}-problem`, class: "problem" }));
  }

  /** @param {Field} field @param {Element} line */
  #translate({ name, label, hint, options }, line) {
    const [title, input, explanation, problem] = line.children;
    title.textContent = t(label);
    explanation.textContent = hint ? t(hint) : "";
    const said = this.#error?.fields?.[name]?.[0];
    problem.textContent = said ? this.#problemOf(said, /** @type {HTMLInputElement} */ (input).value.trim()) : "";
    if (said) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
    if (input instanceof HTMLSelectElement) this.#fill(input, options?.() ?? []);
  }

  /** The sentence for what is wrong with a field. @param {string} said by the server, or the code of a sentence of this page
   *  @param {string} value */
  #problemOf(said, value) {
    if (known(`error_${said}`)) return t(`error_${said}`);
    return this.#error.code === "invalid" && !value ? t("field_empty") : explain("error", this.#error.code, said);
  }

  /** Fills a choice. There may be more options than before, because they are still being loaded when a form opens.
   *  @param {HTMLSelectElement} select @param {[value: string, text: string][]} options */
  #fill(select, options) {
    const chosen = select.value;
    select.replaceChildren(...options.map(([key, text]) => new Option(text, key)));
    if (options.some(([key]) => key === chosen)) select.value = chosen;
  }

  async #submit() {
    const values = Object.fromEntries([...this.#inputs()].map(({ name, type, value }) => [name, type === "password" ? value : value.trim()]));
    this.#error = null;
    this.render();
    this.#fields.setAttribute("disabled", "");
    this.#send.setAttribute("disabled", "");
    try {
      this.#answer = await this.#options.work(values);
      this.#dialog.close();
    } catch (error) {
      this.#error = error;
    } finally {
      this.#fields.removeAttribute("disabled");
      this.#send.removeAttribute("disabled");
    }
    if (!this.#error) return;
    if (this.#error.status === 401) return this.#signedOut();
    this.render();
    (/** @type {HTMLElement | null} */ (this.#fields.querySelector("[aria-invalid]")) ?? this.#send).focus();
  }

  #signedOut() {
    this.#dialog.close();
    this.#options.failed(this.#error);
  }
}
