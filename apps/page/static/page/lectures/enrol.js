// The dialog that enrols several students in a lecture: search, selection over several pages, and one button.

import * as api from "../api.js";
import { element } from "../dom.js";
import { PagedTable } from "../parts/paged-table.js";
import { SearchBox } from "../parts/search-box.js";
import { sentenceFor } from "../sentences.js";
import { t } from "../strings.js";
import { phone } from "./students.js";

const MOST = 1000; // the API takes no more at once

/** @typedef {{enrolled: number, already: number}} Enrolled */

export class Enrol {
  #context;
  #id;
  /** @type {number[]} */
  #chosen = [];
  /** @type {Enrolled | null} */
  #answer = null;
  /** @type {(() => string) | null} */
  #problem = null;
  #search = new SearchBox("lectures_students_search", (search) => this.#table.filter({ search }));
  #title = element("h2", { id: "enrol-title" });
  #close = element("button", { type: "button", class: "quiet" });
  #lead = element("p", { class: "lead" });
  #trouble = element("p", { class: "problem", role: "alert" });
  #send = /** @type {HTMLButtonElement} */ (element("button", { type: "button", class: "main" }));
  #table;
  #dialog;

  /** @param {HTMLElement} parent @param {import("../frame/screens.js").Context} context @param {string} id of the lecture */
  constructor(parent, context, id) {
    this.#context = context;
    this.#id = id;
    this.#table = new PagedTable({
      path: "/api/v1/students/", label: "lectures_enrol", none: "lectures_enrol_none", nameOf: ({ name }) => name,
      failed: (problem) => this.#signedOut(problem),
      always: () => ({ not_in_lecture: id, page_size: "20" }),
      onSelect: (rows) => this.#choose(rows.map(({ id: student }) => Number(student))),
      columns: [
        { head: "lectures_student", cell: ({ name }) => name },
        { head: "lectures_school", cell: ({ school, grade }) => [school, grade].filter(Boolean).join(" ") },
        { head: "lectures_parent_phone", cell: ({ parent_phone }) => phone(parent_phone) },
      ],
    });
    const body = element("div", { class: "enrol-body" }, this.#lead, element("div", { class: "filters", role: "search" }, this.#search.node), this.#table.node);
    this.#dialog = /** @type {HTMLDialogElement} */ (element("dialog", { class: "enrol-dialog", "aria-labelledby": "enrol-title" },
      element("header", {}, this.#title, this.#close), body, element("p", { class: "actions" }, this.#trouble, this.#send)));
    parent.append(this.#dialog);
    this.#close.addEventListener("click", () => this.#dialog.close());
    this.#send.addEventListener("click", () => this.#enrol());
    this.render();
  }

  /** Opens the dialog. Returns how many were enrolled, or null if it was closed before. @returns {Promise<Enrolled | null>} */
  open() {
    this.#answer = this.#problem = null;
    this.#search.value = "";
    this.#table.clearSelection();
    this.#table.open("");
    this.render();
    this.#dialog.showModal();
    this.#search.focus();
    return new Promise((resolve) => this.#dialog.addEventListener("close", () => resolve(this.#answer), { once: true }));
  }

  leave() {
    this.#search.leave();
    if (this.#dialog.open) this.#dialog.close();
  }

  render() {
    const n = this.#chosen.length;
    this.#title.textContent = t("lectures_enrol");
    this.#close.textContent = t("close");
    this.#lead.textContent = t("lectures_enrol_lead");
    this.#send.textContent = n ? t("lectures_enrol_send", { n }) : t("lectures_enrol_nobody");
    this.#send.disabled = n === 0 || n > MOST;
    this.#trouble.textContent = n > MOST ? t("lectures_enrol_too_many", { n: MOST }) : this.#problem?.() ?? "";
    this.#search.render();
  }

  /** @param {number[]} chosen */
  #choose(chosen) {
    this.#chosen = chosen;
    this.render();
  }

  async #enrol() {
    this.#problem = null;
    this.#send.disabled = true;
    try {
      this.#answer = await api.callJson(`/api/v1/lectures/${encodeURIComponent(this.#id)}/students/`, { json: { students: this.#chosen } });
      return this.#dialog.close();
    } catch (error) {
      if (error instanceof api.ApiError && error.status === 401) return this.#signedOut(error);
      this.#problem = sentenceFor(error);
    }
    this.render();
    this.#send.focus();
  }

  /** @param {unknown} problem */
  #signedOut(problem) {
    this.#dialog.close();
    this.#context.failed(problem);
  }
}
