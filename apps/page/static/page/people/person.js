// One account: what it is, what its viewer may do with it, and where it is signed in.

import * as api from "../api.js";
import { cell, element } from "../dom.js";
import { signInLine } from "../frame/sign-ins.js";
import { FormDialog } from "../parts/form-dialog.js";
import { sentenceFor } from "../sentences.js";
import { t, wordFor } from "../strings.js";
import { CodeDialog } from "./code.js";
import { PATH, dateOf, rolesFor, stateOf } from "./facts.js";

/** @typedef {import("./facts.js").Person} Person */

export class PersonPanel {
  node = element("div", { class: "person" });
  /** @type {Person | null} */
  #person = null;
  #missing = false;
  #busy = false;
  /** @type {api.SignIn[]} */
  #devices = [];
  /** Counts what was asked: a late answer about another account is dropped. */
  #asked = 0;
  /** @type {(() => string) | null} */
  #said = null;
  /** @type {(() => string) | null} */
  #trouble = null;
  #context;
  #onChange;
  #kind = element("p", { class: "kind" });
  #lead = element("p", { class: "lead" });
  #facts = element("dl", { class: "facts-list" });
  #deeds = element("div", { class: "deeds" });
  #status = element("p", { class: "doing", role: "status" });
  #problem = element("p", { class: "problem", role: "alert" });
  #devicesTitle = element("h2", { tabindex: "-1" });
  #devicesNone = element("p", { class: "none" });
  #deviceList = element("ul", { class: "devices" });
  #endAll = this.#button("", () => this.#askToEndAll());
  #devicesPart = element("div", {}, this.#devicesTitle, this.#devicesNone, this.#deviceList, element("p", { class: "actions" }, this.#endAll));
  #buttons = {
    code: this.#button("main", () => this.#issueCode()),
    change: this.#button("", () => this.#change()),
    close: this.#button("bad", () => this.#close()),
    reopen: this.#button("", () => this.#do("reopen", "people_reopened")),
  };
  #form;
  #nameForm;
  #code;

  /** @param {import("../frame/screens.js").Context} context @param {(person: Person) => void} onChange */
  constructor(context, onChange) {
    this.#context = context;
    this.#onChange = onChange;
    this.#deeds.append(...Object.values(this.#buttons));
    this.node.append(this.#kind, this.#lead, this.#facts, this.#deeds, this.#status, this.#problem, this.#devicesPart);
    const name = { name: "name", label: "people_name", attributes: { required: "", maxlength: "50", autocomplete: "off" } };
    const role = { name: "role", label: "people_role", options: () => rolesFor(context.claims()?.role ?? "") };
    const options = { title: "people_change", work: (/** @type {any} */ values) => this.#save(values), failed: context.failed };
    this.#form = new FormDialog(this.node, { ...options, fields: [name, role] });
    this.#nameForm = new FormDialog(this.node, { ...options, title: "people_rename", fields: [name] });
    this.#code = new CodeDialog(this.node);
  }

  /** Reads an account and shows it. @param {string} id @param {string | null} said what has just been done with it, as a key */
  async show(id, said) {
    const asked = ++this.#asked;
    if (`${this.#person?.id}` !== id) this.#person = null;
    this.#devices = [];
    this.#missing = false;
    this.#trouble = null;
    this.#said = this.#person ? null : () => t("loading");
    this.render();
    try {
      const person = await api.callJson(`${PATH}${encodeURIComponent(id)}/`);
      if (asked !== this.#asked) return;
      this.#said = said ? () => t(said) : null;
      this.#take(person);
      await this.#readDevices();
    } catch (error) {
      if (asked === this.#asked) this.#failed(error);
    }
  }

  /** Whether there is no such account. */
  get missing() {
    return this.#missing;
  }

  /** Forgets the account and its code. */
  leave() {
    this.#asked += 1;
    this.#code.close();
  }

  render() {
    const person = this.#person;
    for (const part of [this.#kind, this.#facts, this.#deeds]) part.hidden = !person;
    this.#devicesPart.hidden = !person || !this.#managed || !person.active;
    this.#status.textContent = this.#said?.() ?? "";
    this.#problem.textContent = this.#trouble?.() ?? "";
    this.#lead.textContent = person && this.#leadKey ? t(this.#leadKey) : "";
    if (person) {
      this.#kind.replaceChildren(cell("span", wordFor("role", person.role)), stateOf(person));
      this.#renderFacts(person);
      this.#renderButtons(person);
      this.#renderDevices();
    }
    for (const part of [this.#form, this.#nameForm, this.#code]) part.render();
  }

  get #own() {
    return this.#person?.id === this.#context.claims()?.user;
  }

  /** Whether the viewer may manage this account. */
  get #managed() {
    const role = this.#context.claims()?.role;
    return !this.#own && (role === "owner" || !["owner", "staff"].includes(this.#person?.role ?? ""));
  }

  get #leadKey() {
    if (this.#own) return "people_own_lead";
    if (!this.#managed) return "people_office_lead";
    return this.#person?.role === "student" ? "people_student_lead" : "";
  }

  /** @param {Person} person */
  #renderFacts(person) {
    const facts = [
      ["people_username", person.username],
      ["people_fact_password", t(person.has_password ? "people_has_password" : "people_has_none")],
      ["people_fact_code", person.code_expires_at ? t("people_code_until", { time: dateOf(person.code_expires_at) }) : t("people_code_none")],
      ["people_last_used", person.last_used_at ? dateOf(person.last_used_at) : t("people_unknown")],
      ["people_fact_since", dateOf(person.created_at)],
    ];
    this.#facts.replaceChildren(...facts.map(([key, text]) => element("div", {}, cell("dt", t(key)), cell("dd", text))));
  }

  /** @param {Person} person */
  #renderButtons(person) {
    const { code, change, close, reopen } = this.#buttons;
    const focused = document.activeElement;
    code.textContent = t("people_code");
    change.textContent = t(this.#own ? "people_rename" : "people_change");
    close.textContent = t("people_close");
    reopen.textContent = t("people_reopen");
    code.hidden = close.hidden = !this.#managed || !person.active;
    reopen.hidden = !this.#managed || person.active;
    change.hidden = !(this.#managed || this.#own) || person.role === "student";
    // If the button that was used is hidden now, the other one of the pair gets the focus.
    if (focused instanceof HTMLElement && focused.hidden) (focused === reopen ? code : reopen).focus();
  }

  #renderDevices() {
    this.#devicesTitle.textContent = t("people_devices");
    this.#devicesNone.textContent = t("people_devices_none");
    this.#devicesNone.hidden = this.#devices.length > 0;
    this.#endAll.textContent = t("people_end_all");
    this.#endAll.hidden = this.#devices.length < 2;
    this.#deviceList.replaceChildren(...this.#devices.map((one) => signInLine(one, (id, name) => this.#end(id, name))));
  }

  /** @param {string} kind @param {() => void} work */
  #button(kind, work) {
    const button = element("button", { type: "button", ...(kind && { class: kind }) });
    button.addEventListener("click", work);
    return button;
  }

  /** @param {Person} person */
  #take(person) {
    this.#person = person;
    this.#trouble = null;
    this.render();
    this.#onChange(person);
  }

  async #readDevices() {
    const person = this.#person;
    const asked = this.#asked;
    const found = person && this.#managed && person.active ? await api.signIns(person.id) : [];
    if (asked !== this.#asked) return;
    this.#devices = found;
    this.render();
  }

  async #change() {
    const { name = "", role = "" } = this.#person ?? {};
    const before = role;
    const person = await (this.#own ? this.#nameForm.open({ name }) : this.#form.open({ name, role }));
    if (!person) return;
    this.#said = () => (person.role === before ? t("people_changed") : t("people_role_changed", { name: person.name }));
    this.#take(person);
    await this.#attempt(() => this.#readDevices());
  }

  /** @param {{[name: string]: string}} values */
  #save(values) {
    if (!values.name) throw new api.ApiError(400, { code: "invalid", fields: { name: ["people_name"] } });
    return api.callJson(`${PATH}${this.#person?.id}/`, { method: "PATCH", json: values });
  }

  async #issueCode() {
    const person = this.#person;
    if (!person || (person.code_expires_at && !(await this.#context.ask("people_code_again", { name: person.name })))) return;
    await this.#attempt(async () => {
      const issued = await api.callJson(`${PATH}${person.id}/code/`, { method: "POST" });
      this.#said = () => t("people_code_issued");
      this.#take({ ...person, code_expires_at: issued.expires_at });
      this.#code.open(person, issued);
    });
  }

  async #close() {
    if (await this.#context.ask("people_close_ask", { name: this.#person?.name ?? "" })) await this.#do("close", "people_closed");
  }

  /** @param {"close" | "reopen"} deed @param {string} said */
  #do(deed, said) {
    return this.#attempt(async () => {
      const person = await api.callJson(`${PATH}${this.#person?.id}/${deed}/`, { method: "POST" });
      this.#said = () => t(said);
      this.#take(person);
      await this.#readDevices();
    });
  }

  async #askToEndAll() {
    const person = this.#person;
    if (!person || !(await this.#context.ask("people_end_ask", { name: person.name }))) return;
    await this.#end(undefined, "");
  }

  /** @param {string | undefined} id @param {string} name of the device */
  #end(id, name) {
    return this.#attempt(async () => {
      try {
        await api.endSignIn(id, this.#person?.id);
      } catch (error) {
        if (!(error instanceof api.ApiError && error.status === 404)) throw error; // 404: it has ended already
      }
      this.#said = () => (id ? t("people_device_ended", { name }) : t("people_all_ended"));
      await this.#readDevices();
      this.#devicesTitle.focus(); // the button that was used is gone
    });
  }

  /** Does one thing at a time, and says what went wrong. @param {() => Promise<void>} work */
  async #attempt(work) {
    if (this.#busy) return;
    this.#busy = true;
    const buttons = /** @type {NodeListOf<HTMLButtonElement>} */ (this.node.querySelectorAll(":scope > div button"));
    const focused = document.activeElement;
    for (const button of buttons) button.setAttribute("aria-disabled", "true");
    this.#trouble = null;
    try {
      await work();
    } catch (error) {
      this.#failed(error);
    }
    this.#busy = false;
    for (const button of buttons) button.removeAttribute("aria-disabled");
    if (focused instanceof HTMLElement && document.activeElement === document.body && focused.isConnected) focused.focus();
  }

  /** @param {unknown} error */
  #failed(error) {
    const { status } = /** @type {api.ApiError} */ (error);
    if (status === 401) return this.#context.failed(error);
    this.#said = null;
    this.#missing = status === 404 && !this.#person;
    this.#trouble = this.#missing ? () => t("people_missing_lead") : sentenceFor(error);
    this.render();
  }
}
