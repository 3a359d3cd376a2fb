// The list of lectures: a search, a choice between active and archived lectures, and a form for new ones.

import * as api from "../api.js";
import { cell, element } from "../dom.js";
import { FormDialog } from "../parts/form-dialog.js";
import { PagedTable } from "../parts/paged-table.js";
import { day, number, t } from "../strings.js";
import { isOffice } from "./office.js";
import { SearchBox } from "../parts/search-box.js";

/** The fields of a lecture, for the form that adds one and for the form that changes one.
 *  @type {import("../parts/form-dialog.js").Field[]} */
export const FIELDS = [
  { name: "title", label: "lectures_field_title", attributes: { maxlength: "100", required: "" } },
  { name: "description", label: "lectures_field_description", hint: "lectures_hint_description", attributes: { maxlength: "2000" } },
];

export class List {
  #context;
  #heading = element("h1", { id: "lectures-title", tabindex: "-1" });
  #lead = element("p", { class: "lead" });
  #add = element("button", { type: "button", class: "main" });
  #search = new SearchBox("lectures_search", (search) => this.#table.filter({ search }));
  #which = /** @type {HTMLSelectElement} */ (element("select", { id: "lectures-which" }));
  #whichLabel = element("label", { for: "lectures-which" });
  #table;
  #form;
  node = element("div");

  /** @param {import("../frame/screens.js").Context} context */
  constructor(context) {
    this.#context = context;
    this.#table = new PagedTable({
      path: "/api/v1/lectures/", label: "lectures_label", none: "lectures_none", failed: context.failed,
      nameOf: ({ title }) => title,
      always: (query) => ({ active: query.get("active") ?? "true" }),
      onQuery: (query) => context.setQuery(query),
      columns: [
        { head: "lectures_head_title", cell: ({ id, title }) => cell("a", title, { href: `/lectures/${id}` }) },
        { head: "lectures_head_students", cell: ({ student_count }) => number(student_count) },
        { head: "lectures_head_videos", cell: ({ video_count }) => number(video_count) },
        { head: "lectures_head_began", cell: ({ created_at }) => day(created_at, false) },
      ],
    });
    this.#which.addEventListener("change", () => this.#table.filter({ active: this.#which.value }));
    this.#add.addEventListener("click", () => this.#addOne());
    this.#add.hidden = !isOffice(context);
    const choice = element("p", {}, this.#whichLabel, this.#which);
    this.node.append(
      element("div", { class: "above heading" }, this.#heading, this.#add), this.#lead,
      element("div", { class: "filters", role: "search" }, this.#search.node, choice), this.#table.node,
    );
    this.#form = new FormDialog(this.node, {
      title: "lectures_add", fields: FIELDS, failed: context.failed,
      work: (json) => api.callJson("/api/v1/lectures/", { json }),
    });
    this.render();
  }

  get title() {
    return t("lectures_title");
  }

  show() {
    this.#table.open(location.search);
    this.#search.value = this.#table.filterOf("search");
    this.#which.value = this.#table.filterOf("active");
  }

  leave() {
    this.#search.leave();
  }

  render() {
    const chosen = this.#which.value;
    this.#heading.textContent = t("lectures_title");
    this.#lead.textContent = t("lectures_lead");
    this.#add.textContent = t("lectures_add");
    this.#whichLabel.textContent = t("lectures_which");
    this.#which.replaceChildren(new Option(t("lectures_active"), ""), new Option(t("lectures_archived"), "false"));
    this.#which.value = chosen;
    this.#search.render();
    this.#table.render();
    this.#form.render();
  }

  async #addOne() {
    const made = await this.#form.open();
    if (made) this.#context.go(`/lectures/${made.id}`);
    else this.#add.focus();
  }
}
