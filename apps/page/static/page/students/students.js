// The view "students": the list, one student, and the removed ones.

import { cell, element } from "../dom.js";
import { writeTitle } from "../frame/title.js";
import { addWords, t } from "../strings.js";
import { RemovedList, StudentList } from "./list.js";
import { Notice } from "./notice.js";
import { change, remove, restore } from "./people.js";
import { StudentPage } from "./student.js";
import { WORDS } from "./words.js";

addWords(WORDS);

const OFFICE = ["owner", "staff"];
const REMOVED = "removed";

/**
 * @typedef {import("./people.js").Student} Student
 * What the pages of this view have in common. Each of these actions is shown in the notice, with a button to undo it.
 * @typedef {{notice: Notice, attempt(work: () => Promise<void>): Promise<void>, added(student: Student): void,
 *   changed(student: Student, undo: import("./people.js").Values): Promise<void>, remove(student: Student): Promise<void>,
 *   restore(student: Student): Promise<void>, renamed(): void}} Deeds
 * @typedef {{node: HTMLElement, title: string, lead: string, open(query: string, id: string): void, leave(): void,
 *   reload(): Promise<void>, render(): void}} Page
 */

export class View {
  #context;
  #office;
  #notice;
  #back = cell("a", "", { href: "/students" });
  #up = element("p", { class: "up" }, this.#back);
  #title = element("h1", { id: "students-title", tabindex: "-1" });
  #lead = element("p", { class: "lead" });
  #place = element("div");
  /** @type {{list: StudentList, removed: RemovedList, student: StudentPage}} */
  #pages;
  /** @type {Page | null} */
  #page = null;
  /** Whether the notice tells of what led to the place that is shown next. */
  #told = false;

  /** @param {HTMLElement} node @param {import("../frame/screens.js").Context} context */
  constructor(node, context) {
    this.#context = context;
    this.#office = OFFICE.includes(context.claims()?.role ?? "");
    this.#notice = new Notice(context.failed);
    const deeds = this.#deeds();
    this.#pages = {
      list: new StudentList(context, this.#office, deeds),
      removed: new RemovedList(context, deeds),
      student: new StudentPage(context, this.#office, deeds),
    };
    node.append(this.#up, this.#title, this.#lead, this.#notice.node, this.#place);
  }

  get title() {
    return this.#page?.title ?? t("students_title");
  }

  /** @param {import("../frame/addresses.js").Place} place */
  show({ id }) {
    const { list, removed, student } = this.#pages;
    const page = !id ? list : id === REMOVED && this.#office ? removed : student;
    if (!this.#told) this.#notice.clear();
    this.#told = false;
    this.#page?.leave();
    this.#page = page;
    this.#place.replaceChildren(page.node);
    page.open(location.search.slice(1), id);
    this.render();
  }

  leave() {
    this.#page?.leave();
    this.#page = null;
    this.#notice.clear();
  }

  render() {
    this.#up.hidden = this.#page === this.#pages.list;
    this.#back.textContent = t("students_all");
    this.#lead.textContent = this.#page?.lead ?? "";
    this.#lead.hidden = !this.#page?.lead;
    this.#notice.render();
    this.#page?.render();
    this.#renamed();
  }

  #renamed() {
    this.#title.textContent = this.title;
    writeTitle();
  }

  /** @returns {Deeds} */
  #deeds() {
    return {
      notice: this.#notice,
      attempt: (work) => work().catch((error) => this.#notice.complain(error)),
      renamed: () => this.#renamed(),
      added: (student) => this.#added(student),
      changed: (student, undo) => this.#changed(student, undo),
      remove: (student) => this.#do(() => this.#remove(student)),
      restore: (student) => this.#do(() => this.#restore(student)),
    };
  }

  /** @param {() => Promise<void>} work */
  async #do(work) {
    try {
      await work();
    } catch (error) {
      this.#notice.complain(error);
    }
  }

  /** @param {Student} student */
  #added(student) {
    const { name, id, outcome } = student;
    if (outcome === "existing") return this.#notice.show(() => t("students_said_existing", { name }), () => this.#context.go(`/students/${id}`), "students_open");
    const key = outcome === "restored" ? "students_said_restored" : "students_said_added";
    this.#notice.show(() => t(key, { name }), () => this.#remove(student));
  }

  /** @param {Student} student @param {import("./people.js").Values} undo the values before the change */
  async #changed(student, undo) {
    const { name, id } = student;
    this.#notice.show(() => t("students_said_changed", { name }), async () => {
      const before = await change(id, undo);
      this.#notice.show(() => t("students_said_changed", { name: before.name }));
      await this.#again();
    });
    await this.#page?.reload();
  }

  /** @param {Student} student */
  async #remove(student) {
    const { name, id } = student;
    await remove(id);
    this.#notice.show(() => t("students_said_removed", { name }), () => this.#restore(student));
    if (this.#page !== this.#pages.student) return this.#again();
    this.#told = true;
    this.#context.go("/students");
  }

  /** @param {Student} student */
  async #restore(student) {
    const { name, id } = student;
    await restore(id);
    this.#notice.show(() => t("students_said_restored", { name }), () => this.#remove(student));
    await this.#again();
  }

  /** Reads the page again. The button that was used may be gone, so the focus moves to the heading. */
  async #again() {
    this.#title.focus({ preventScroll: true });
    await this.#page?.reload();
  }
}
