// One student: the data, the lectures, the history, and what may be done.

import { cell, element } from "../dom.js";
import { addressOf, placeOf } from "../frame/addresses.js";
import { sentenceFor } from "../sentences.js";
import { day, t } from "../strings.js";
import { formToChange, phoneOf, readHistory, readLectures, readStudent, shown } from "./people.js";

/** @typedef {import("./people.js").Student} Student
 *  @typedef {import("./people.js").Entry} Entry
 *  @typedef {import("./students.js").Deeds} Deeds
 *  @typedef {import("../frame/screens.js").Context} Context */

export class StudentPage {
  id = "";
  /** @type {Student | null} */
  #student = null;
  /** @type {Entry[]} */
  #history = [];
  #page = 0;
  #more = false;
  /** @type {{lecture: number, lecture_title: string}[] | null} */
  #lectures = null;
  /** @type {(() => string) | null} */
  #trouble = null;
  #missing = false;
  #context;
  #deeds;
  #office;
  #form;
  #problem = element("p", { class: "problem", role: "alert" });
  #loading = element("p", { class: "doing" });
  #gone = element("p", { class: "warning" });
  #change = cell("button", "", { type: "button" });
  #remove = cell("button", "", { type: "button", class: "quiet" });
  #restore = cell("button", "", { type: "button", class: "main" });
  #facts = element("dl", { class: "facts-list" });
  #lecturesTitle = element("h2");
  #lectureList = element("ul", { class: "plain" });
  #historyTitle = element("h2");
  #line = element("ol", { class: "time-line" });
  #moreButton = cell("button", "", { type: "button", class: "quiet" });
  #body = element("div", {}, this.#gone, element("div", { class: "tools-line" }, this.#restore, this.#change, this.#remove),
    this.#facts, this.#lecturesTitle, this.#lectureList, this.#historyTitle, this.#line, this.#moreButton);

  node = element("div", {}, this.#problem, this.#loading, this.#body);

  /** @param {Context} context @param {boolean} office whether the user may change students @param {Deeds} deeds */
  constructor(context, office, deeds) {
    this.#context = context;
    this.#deeds = deeds;
    this.#office = office;
    this.#form = formToChange(this.node, () => /** @type {Student} */ (this.#student), context.failed);
    this.#change.addEventListener("click", () => this.#changeIt());
    this.#remove.addEventListener("click", () => this.#student && deeds.remove(this.#student));
    this.#restore.addEventListener("click", () => this.#student && deeds.restore(this.#student));
    this.#moreButton.addEventListener("click", () => this.#readMore());
  }

  get title() {
    return this.#student?.name ?? t(this.#missing ? "students_missing" : "students_title");
  }

  get lead() {
    return "";
  }

  /** @param {string} _query @param {string} id */
  open(_query, id) {
    this.id = id;
    this.#student = this.#lectures = this.#trouble = null;
    this.#missing = false;
    this.#history = [];
    return this.reload();
  }

  leave() {
    this.id = "";
    this.#form.close();
  }

  async reload() {
    const { id } = this;
    this.render();
    try {
      const student = await readStudent(id, this.#office);
      if (id !== this.id) return;
      this.#student = student;
      this.#missing = !student;
      this.#trouble = null;
      if (!student) return this.#complain(() => t("students_missing_lead"));
      this.#show();
      const [history, lectures] = await Promise.all([readHistory(student.id, 1), student.removed_at ? null : readLectures(student.id)]);
      if (id !== this.id) return;
      this.#history = history.results;
      this.#page = 1;
      this.#more = history.next !== null;
      this.#lectures = lectures?.results ?? null;
      this.#show();
    } catch (error) {
      if (id !== this.id) return;
      if (/** @type {{status?: number}} */ (error).status === 401) return this.#context.failed(error);
      this.#complain(sentenceFor(error));
    }
  }

  render() {
    const student = this.#student;
    this.#problem.textContent = this.#trouble?.() ?? "";
    this.#loading.textContent = student || this.#trouble ? "" : t("loading");
    this.#body.hidden = !student;
    this.#form.render();
    if (!student) return;
    const removed = Boolean(student.removed_at);
    const time = student.removed_at ? day(student.removed_at) : "";
    this.#gone.hidden = !removed;
    this.#gone.textContent = student.removed_by ? t("students_is_removed_by", { by: student.removed_by, time }) : t("students_is_removed", { time });
    for (const [button, key, visible] of /** @type {[HTMLElement, string, boolean][]} */ ([
      [this.#restore, "students_restore", removed], [this.#change, "students_change", !removed], [this.#remove, "students_remove", !removed],
    ])) {
      button.textContent = t(key);
      button.hidden = !visible || !this.#office;
    }
    this.#renderFacts(student);
    this.#renderLectures();
    this.#historyTitle.textContent = t("students_history");
    this.#line.replaceChildren(...this.#history.map((entry) => lineOf(entry)));
    this.#moreButton.textContent = t("students_history_more");
    this.#moreButton.hidden = !this.#more;
  }

  /** @param {() => string} sentence */
  #complain(sentence) {
    this.#trouble = sentence;
    this.#show();
  }

  #show() {
    this.render();
    this.#deeds.renamed();
  }

  /** @param {Student} student */
  #renderFacts(student) {
    const facts = {
      parent_phone: phoneOf(student.parent_phone), phone: phoneOf(student.phone), school: student.school, grade: student.grade,
      username: student.username, added_at: day(student.created_at, false),
    };
    this.#facts.replaceChildren(...Object.entries(facts).map(([name, value]) =>
      element("div", {}, cell("dt", t(`students_${name}`)), cell("dd", value || "—"))));
  }

  #renderLectures() {
    const found = this.#lectures;
    this.#lecturesTitle.hidden = this.#lectureList.hidden = !found;
    this.#lecturesTitle.textContent = t("students_lectures");
    this.#lectureList.replaceChildren(...(found ?? []).map(({ lecture, lecture_title: title }) =>
      element("li", {}, placeOf(`/lectures/${lecture}`) ? cell("a", title, { href: `/lectures/${lecture}` }) : cell("span", title))));
    if (found?.length === 0) this.#lectureList.append(cell("li", t("students_no_lectures"), { class: "meta" }));
  }

  async #changeIt() {
    if (!this.#student) return;
    const answer = await this.#form.open(shown(this.#student));
    if (answer) await this.#deeds.changed(answer.student, answer.undo);
  }

  async #readMore() {
    const history = this.#history;
    const { length } = history;
    try {
      const { results, next } = await readHistory(Number(this.id), this.#page + 1);
      if (history !== this.#history) return; // it was read again, or another student is shown
      this.#page += 1;
      history.push(...results);
      this.#more = next !== null;
      this.render();
      const first = /** @type {HTMLElement | undefined} */ (this.#line.children[length]);
      first?.setAttribute("tabindex", "-1");
      first?.focus(); // a screen reader goes on with the new entries; the button may be gone
    } catch (error) {
      this.#complain(sentenceFor(error));
    }
  }
}

/** @param {Entry} entry */
function lineOf({ when, what, by, fields_changed: changed, job_id: job, file_name: file }) {
  const words = element("span");
  words.append(t(`students_what_${what}`, { fields: changed.map((field) => t(`students_${field}`)).join(", ") }));
  if (job) words.append(" · ", cell("a", t("students_by_import", { file: file ?? "" }), { href: addressOf(`job:${job}`) }));
  if (by) words.append(` · ${t("students_by", { name: by })}`);
  return element("li", {}, cell("time", day(when), { datetime: when }), words);
}
