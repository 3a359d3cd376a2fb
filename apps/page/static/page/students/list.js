// The list of students, with a search, a filter by lecture and an export. And the list of removed students.

import { cell, element, whileDisabled } from "../dom.js";
import { saveTemplate } from "../imports/imports.js";
import { PagedTable } from "../parts/paged-table.js";
import { SearchBox } from "../parts/search-box.js";
import { day, t } from "../strings.js";
import { lectures } from "../videos/videos.js";
import { Export } from "./export.js";
import { Imports } from "./imports.js";
import { formToAdd, phoneOf } from "./people.js";

/** @typedef {import("./people.js").Student} Student
 *  @typedef {import("./students.js").Deeds} Deeds
 *  @typedef {import("../frame/screens.js").Context} Context */

/** @param {Student} student */
function linkTo(student) {
  return cell("a", student.name, { href: `/students/${student.id}` });
}

/** @type {import("../parts/paged-table.js").Column[]} */
const COLUMNS = [
  { head: "students_name", cell: (row) => linkTo(/** @type {Student} */ (row)) },
  { head: "students_parent_phone", cell: ({ parent_phone }) => phoneOf(parent_phone) },
  { head: "students_phone", cell: ({ phone }) => phoneOf(phone) },
  { head: "students_school", cell: ({ school }) => school },
  { head: "students_grade", cell: ({ grade }) => grade },
];

export class StudentList {
  #deeds;
  #office;
  /** @type {{id: number, title: string}[]} */
  #lectures = [];
  #search = new SearchBox("students_search", (search) => this.#find({ search }), "students_search_hint");
  #lecture = /** @type {HTMLSelectElement} */ (element("select", { id: "students-lecture" }));
  #lectureLabel = element("label", { for: "students-lecture" });
  #filters = element("form", { class: "filters", role: "search" }, this.#search.node, element("p", {}, this.#lectureLabel, this.#lecture));
  #add = cell("button", "", { type: "button", class: "main" });
  #import = element("a", { href: "/students/import", class: "button" });
  #export = cell("button", "", { type: "button" });
  #template = cell("button", "", { type: "button", class: "quiet" });
  #removed = element("a", { href: "/students/removed", class: "quiet" });
  #exported;
  #imports;
  #table;
  #form;

  node = element("div");

  /** @param {Context} context @param {boolean} office whether the user may change students @param {Deeds} deeds */
  constructor(context, office, deeds) {
    this.#deeds = deeds;
    this.#office = office;
    this.#table = new PagedTable({
      path: "/api/v1/students/", label: "students_list", none: "students_none", columns: COLUMNS, nameOf: ({ name }) => name,
      onQuery: (query) => context.setQuery(query), failed: context.failed,
    });
    this.#exported = new Export(context.live, (error) => deeds.notice.complain(error));
    this.#form = formToAdd(this.node, () => this.#lectures.map(({ id, title }) => [`${id}`, title]), context.failed);
    this.#imports = new Imports(context.live, () => this.#afterImport());
    this.#bind();
    const actions = element("div", { class: "tools-line" }, this.#add, this.#import, this.#export, this.#template, this.#removed);
    this.node.append(...(office ? [actions, this.#exported.node] : []), this.#filters, this.#table.node);
  }

  get title() {
    return t("students_title");
  }

  get lead() {
    return t(this.#office ? "students_lead" : "students_lead_teacher");
  }

  /** @param {string} query of the address */
  open(query) {
    const chosen = new URLSearchParams(query);
    this.#search.value = chosen.get("search") ?? "";
    this.#table.open(query);
    this.#readLectures(chosen.get("lecture") ?? "");
    this.#imports.watch();
    this.render();
  }

  leave() {
    this.#search.leave();
    this.#form.close();
    this.#imports.leave();
    this.#exported.close();
  }

  reload() {
    return this.#table.reload();
  }

  render() {
    this.#search.render();
    this.#filters.setAttribute("aria-label", t("students_filters"));
    this.#lectureLabel.textContent = t("students_lecture");
    if (this.#lecture.options[0]) this.#lecture.options[0].text = t("students_all_lectures");
    for (const [node, key] of /** @type {[HTMLElement, string][]} */ ([
      [this.#add, "students_add"], [this.#import, "students_import"], [this.#export, this.#found ? "students_export_found" : "students_export"],
      [this.#template, "students_template"], [this.#removed, "students_removed_link"],
    ])) node.textContent = t(key);
    this.#exported.render();
    this.#table.render();
    this.#form.render();
  }

  #bind() {
    this.#filters.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#search.now();
    });
    this.#lecture.addEventListener("change", () => this.#find({ lecture: this.#lecture.value }));
    this.#add.addEventListener("click", () => this.#addOne());
    this.#export.addEventListener("click", () => this.#startExport());
    this.#template.addEventListener("click", () => this.#deeds.attempt(saveTemplate));
  }

  /** @param {{[name: string]: string}} values */
  #find(values) {
    if (!Object.entries(values).some(([name, value]) => value !== this.#table.filterOf(name))) return;
    this.#table.filter(values);
    this.render();
  }

  /** Whether the list shows only those who were found. */
  get #found() {
    return Boolean(this.#table.filterOf("search") || this.#table.filterOf("lecture"));
  }

  /** Shows the imported students. While something in the list has the focus, waits until it loses the focus. */
  async #afterImport() {
    const { node } = this.#table;
    if (node.contains(document.activeElement)) await new Promise((resolve) => node.addEventListener("focusout", resolve, { once: true }));
    await this.reload();
  }

  async #startExport() {
    await whileDisabled(this.#export, () => this.#exported.start(this.#table.filterOf("search"), this.#table.filterOf("lecture")));
  }

  /** @param {string} chosen */
  async #readLectures(chosen) {
    try {
      this.#lectures = await lectures();
    } catch {
      return; // the list works without the filter
    }
    this.#lecture.replaceChildren(new Option(t("students_all_lectures"), ""), ...this.#lectures.map(({ id, title }) => new Option(title, `${id}`)));
    this.#form.render(); // it may be open already
    this.#lecture.value = chosen;
  }

  async #addOne() {
    /** @type {Student | null} */
    const student = await this.#form.open({ lecture: this.#table.filterOf("lecture") });
    if (!student) return;
    this.#deeds.added(student);
    await this.reload();
  }
}

export class RemovedList {
  #search = new SearchBox("students_search", (search) => search !== this.#table.filterOf("search") && this.#table.filter({ search }), "students_search_hint");
  #filters = element("form", { class: "filters", role: "search" }, this.#search.node);
  /** @type {PagedTable} */
  #table;

  node = element("div", {}, this.#filters);

  /** @param {Context} context @param {Deeds} deeds */
  constructor(context, deeds) {
    /** @param {import("../parts/paged-table.js").Row} row */
    const button = (row) => {
      const student = /** @type {Student} */ (row);
      const node = cell("button", t("students_restore"), { type: "button", "aria-label": t("students_restore_named", { name: student.name }) });
      node.addEventListener("click", () => deeds.restore(student));
      return node;
    };
    this.#table = new PagedTable({
      path: "/api/v1/students/removed/", label: "students_removed_title", none: "students_removed_none", nameOf: ({ name }) => name,
      columns: [
        COLUMNS[0], COLUMNS[1], COLUMNS[3],
        { head: "students_removed_at", cell: ({ removed_at }) => day(removed_at) },
        { head: "students_removed_by", cell: ({ removed_by }) => removed_by ?? "" },
        { head: "students_restore", cell: button },
      ],
      onQuery: (query) => context.setQuery(query), failed: context.failed,
    });
    this.#filters.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#search.now();
    });
    this.node.append(this.#table.node);
  }

  get title() {
    return t("students_removed_title");
  }

  get lead() {
    return t("students_removed_lead");
  }

  /** @param {string} query of the address */
  open(query) {
    this.#search.value = new URLSearchParams(query).get("search") ?? "";
    this.#table.open(query);
    this.render();
  }

  leave() {
    this.#search.leave();
  }

  reload() {
    return this.#table.reload();
  }

  render() {
    this.#search.render();
    this.#filters.setAttribute("aria-label", t("students_filters"));
    this.#table.render();
  }
}
