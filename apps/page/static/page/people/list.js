// All accounts of the academy: found by name, role and state, and a form for a new one.

import * as api from "../api.js";
import { cell, element } from "../dom.js";
import { FormDialog } from "../parts/form-dialog.js";
import { PagedTable } from "../parts/paged-table.js";
import { t, wordFor } from "../strings.js";
import { PATH, ROLES, dateOf, rolesFor, stateOf } from "./facts.js";

const TYPING_MS = 250;
const USERNAME = /^[a-z0-9][a-z0-9._@-]*$/;
const PHONE = /^010[\d -]{8,12}$/;

/** @typedef {import("./facts.js").Person} Person */

export class PeopleList {
  node = element("div");
  #context;
  #table;
  #form;
  #onAdded;
  #typing = 0;
  #search = /** @type {HTMLInputElement} */ (element("input", { id: "people-search", name: "search", type: "search", autocomplete: "off", maxlength: "100" }));
  #role = /** @type {HTMLSelectElement} */ (element("select", { id: "people-role", name: "role" }));
  #active = /** @type {HTMLSelectElement} */ (element("select", { id: "people-state", name: "active" }));
  #labels = ["people_search", "people_role", "people_state"].map((key) => /** @type {[HTMLElement, string]} */ ([element("label"), key]));
  #filters = element("form", { class: "filters", role: "search" });
  #title = element("h2");
  #add = element("button", { type: "button", class: "main" });

  /** @param {import("../frame/screens.js").Context} context @param {(person: Person) => void} onAdded */
  constructor(context, onAdded) {
    this.#context = context;
    this.#onAdded = onAdded;
    this.#table = new PagedTable({
      path: PATH, label: "people_list", none: "people_none", nameOf: ({ name }) => name, failed: context.failed,
      onQuery: (query) => context.setQuery(query),
      columns: [
        { head: "people_name", cell: (row) => this.#name(/** @type {any} */ (row)) },
        { head: "people_role", cell: ({ role }) => wordFor("role", role) },
        { head: "people_state", cell: (row) => stateOf(/** @type {any} */ (row)) },
        { head: "people_last_used", cell: ({ last_used_at: time }) => (time ? dateOf(time) : t("people_unknown")) },
      ],
    });
    this.#bindFilters();
    this.#add.addEventListener("click", () => this.#open());
    this.node.append(this.#filters, element("div", { class: "above" }, this.#title, this.#add), this.#table.node);
    this.#form = new FormDialog(this.node, { title: "people_add", send: "people_add_send", failed: context.failed, work: save, fields: [
      { name: "role", label: "people_role", hint: "people_role_hint", options: () => rolesFor(context.claims()?.role ?? "") },
      { name: "name", label: "people_name", attributes: { required: "", maxlength: "50", autocomplete: "off" } },
      { name: "username", label: "people_username", hint: "people_username_hint", attributes: { required: "", maxlength: "60", autocomplete: "off", autocapitalize: "none", spellcheck: "false" } },
      { name: "parent_phone", label: "people_phone", hint: "people_phone_hint", attributes: { type: "tel", maxlength: "40", autocomplete: "off" } },
    ] });
    this.render();
  }

  /** Shows the list for the filters of an address. @param {string} query */
  open(query) {
    const chosen = new URLSearchParams(query);
    const role = chosen.get("role") ?? "";
    const active = chosen.get("active") ?? "";
    this.#search.value = chosen.get("search") ?? "";
    this.#role.value = ROLES.includes(role) ? role : "";
    this.#active.value = ["true", "false"].includes(active) ? active : "";
    const known = { search: this.#search.value, role: this.#role.value, active: this.#active.value, page: chosen.get("page") ?? "" };
    this.#table.open(`${new URLSearchParams(Object.entries(known).filter(([, value]) => value))}`);
  }

  render() {
    const { value: role } = this.#role;
    const { value: active } = this.#active;
    for (const [label, key] of this.#labels) label.textContent = t(key);
    this.#filters.setAttribute("aria-label", t("people_filters"));
    this.#role.replaceChildren(new Option(t("people_every_role"), ""), ...ROLES.map((one) => new Option(wordFor("role", one), one)));
    this.#active.replaceChildren(new Option(t("people_every_state"), ""), new Option(t("people_active"), "true"), new Option(t("people_inactive"), "false"));
    this.#role.value = role;
    this.#active.value = active;
    this.#title.textContent = t("people_list");
    this.#add.textContent = t("people_add");
    this.#table.render();
    this.#form.render();
  }

  #bindFilters() {
    const fields = [this.#search, this.#role, this.#active];
    fields.forEach((field, index) => {
      this.#labels[index][0].setAttribute("for", field.id);
      this.#filters.append(element("p", {}, this.#labels[index][0], field));
    });
    this.#filters.addEventListener("submit", (event) => event.preventDefault());
    this.#filters.addEventListener("input", (event) => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => this.#filter(), event.target === this.#search ? TYPING_MS : 0);
    });
  }

  #filter() {
    this.#table.filter({ search: this.#search.value.trim(), role: this.#role.value, active: this.#active.value });
  }

  /** @param {Person} person */
  #name(person) {
    const own = person.id === this.#context.claims()?.user;
    const name = element("span", { class: "two-lines" }, cell("a", person.name || person.username, { href: `/people/${person.id}` }), cell("span", person.username, { class: "meta" }));
    if (own) name.append(cell("span", t("people_yourself"), { class: "chip" }));
    return name;
  }

  async #open() {
    const added = await this.#form.open();
    if (added) this.#onAdded(added);
  }
}

/** @param {{[name: string]: string}} values @returns {Promise<Person>} */
async function save({ role, name, username, parent_phone: phone }) {
  /** @type {{[field: string]: string[]}} */
  const wrong = {};
  if (!name) wrong.name = ["people_name"];
  if (!USERNAME.test(username)) wrong.username = ["people_username"];
  if (phone && role !== "parent") wrong.parent_phone = ["people_phone_role"];
  else if (phone && !PHONE.test(phone)) wrong.parent_phone = ["people_phone"];
  if (Object.keys(wrong).length) throw new api.ApiError(400, { code: "invalid", fields: wrong });
  return api.callJson(PATH, { json: { role, name, username, ...(phone && { parent_phone: phone }) } });
}
