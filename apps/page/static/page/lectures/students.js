// The students of a lecture: a list with search, and what the office does with enrolments.

import * as api from "../api.js";
import { cell, element } from "../dom.js";
import { placeOf } from "../frame/addresses.js";
import { PagedTable } from "../parts/paged-table.js";
import { SearchBox } from "../parts/search-box.js";
import { day, t } from "../strings.js";
import { Enrol } from "./enrol.js";
import { isOffice } from "./office.js";

const ROWS = 20; // few, because the lessons are below the list

/** What a part of a lecture's page reports: that something was done, that it failed, and that the counts have changed.
 *  @typedef {{done(sentence: () => string): void, failed(error: unknown): void, counted(): Promise<unknown>}} Said */

export class Students {
  #context;
  #said;
  #heading = element("h2", { tabindex: "-1" });
  #add = element("button", { type: "button" });
  #search = new SearchBox("lectures_students_search", (search) => this.#table.filter({ search }));
  #table;
  #enrol;
  node = element("section", { "aria-labelledby": "lecture-students" });

  /** @param {import("../frame/screens.js").Context} context @param {string} id @param {Said} said */
  constructor(context, id, said) {
    this.#context = context;
    this.#said = said;
    this.#heading.id = "lecture-students";
    const office = isOffice(context);
    this.#table = new PagedTable({
      path: "/api/v1/enrolments/", label: "lectures_students", none: "lectures_students_none", failed: context.failed,
      nameOf: ({ student_name }) => student_name,
      always: () => ({ lecture: id, page_size: `${ROWS}` }),
      columns: [
        { head: "lectures_student", cell: ({ student, student_name }) => nameOf(student, student_name) },
        { head: "lectures_school", cell: ({ school, grade }) => [school, grade].filter(Boolean).join(" ") },
        { head: "lectures_parent_phone", cell: ({ parent_phone }) => phone(parent_phone) },
        { head: "lectures_since", cell: ({ created_at }) => day(created_at, false) },
        ...(office ? [{ head: "", cell: (/** @type {any} */ row) => this.#remover(row) }] : []),
      ],
    });
    this.#enrol = new Enrol(this.node, context, id);
    this.#add.hidden = !office;
    this.#add.addEventListener("click", () => this.#enrolSome());
    this.node.append(element("div", { class: "above" }, this.#heading, this.#add), element("div", { class: "filters", role: "search" }, this.#search.node),
      this.#table.node);
  }

  show() {
    this.#table.open("");
  }

  leave() {
    this.#search.leave();
    this.#enrol.leave();
  }

  render() {
    this.#heading.textContent = t("lectures_students");
    this.#add.textContent = t("lectures_enrol");
    this.#search.render();
    this.#table.render();
    this.#enrol.render();
  }

  async #enrolSome() {
    const answer = await this.#enrol.open();
    this.#add.focus();
    if (!answer) return;
    const { enrolled: n, already } = answer;
    this.#said.done(() => t(already ? "lectures_enrolled_already" : "lectures_enrolled", { n, already }));
    await Promise.all([this.#table.reload(), this.#said.counted()]);
  }

  /** @param {{id: number, student_name: string}} row */
  #remover({ id, student_name: name }) {
    const button = /** @type {HTMLButtonElement} */ (cell("button", t("lectures_remove"), { type: "button", class: "quiet", "aria-label": t("lectures_remove_named", { name }) }));
    button.addEventListener("click", async () => {
      if (!(await this.#context.ask("lectures_ask_remove", { name }))) return button.focus();
      button.disabled = true;
      try {
        await api.call(`/api/v1/enrolments/${id}/`, { method: "DELETE" });
      } catch (error) {
        button.disabled = false;
        if (!(error instanceof api.ApiError && error.status === 404)) return this.#said.failed(error); // 404: removed already
      }
      this.#table.remove(id);
      this.#heading.focus(); // the button that was used is gone
      this.#said.done(() => t("lectures_removed", { name }));
      await this.#said.counted();
    });
    return button;
  }
}

/** The name of a student, as a link where the page has a view of students. @param {number} id @param {string} name */
function nameOf(id, name) {
  const address = `/students/${id}`;
  return placeOf(address) ? cell("a", name, { href: address }) : name;
}

/** A phone number as people write it. @param {string} digits */
export function phone(digits) {
  return digits.replace(/^(\d{3})(\d{4})(\d{4})$/, "$1-$2-$3");
}
