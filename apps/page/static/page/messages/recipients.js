// The choice of recipients: all students of a lecture, or students that are searched and picked; and whose phone gets the message.

import { cell, element } from "../dom.js";
import { PagedTable } from "../parts/paged-table.js";
import { sentenceFor } from "../sentences.js";
import { t } from "../strings.js";
import { lectures } from "../videos/videos.js";
import { phone } from "./size.js";

const PAUSE_MS = 300;
const A_PAGE = "page_size=10";

/** @typedef {import("./draft.js").Draft} Draft
 *  @typedef {import("../videos/videos.js").Lecture} Lecture */

export class Recipients {
  /** @type {Lecture[]} */
  #lectures = [];
  #loaded = false;
  #timer = 0;
  /** @type {(() => string) | null} */
  #trouble = null;
  #draft;
  #onChange;
  #table;
  #by = new Radios("messages-by", "messages_about", [["lecture", "messages_by_lecture"], ["students", "messages_by_students"]]);
  #to = new Radios("messages-to", "messages_phone_of", [["parent", "messages_parent"], ["student", "messages_student"]]);
  #label = element("label", { for: "messages-lecture" });
  #lecture = /** @type {HTMLSelectElement} */ (element("select", { id: "messages-lecture" }));
  #hint = element("p", { class: "problem" });
  #searchLabel = element("label", { for: "messages-search" });
  #search = /** @type {HTMLInputElement} */ (element("input", { id: "messages-search", type: "search", autocomplete: "off" }));
  #chosenTitle = element("h3", { id: "messages-chosen" });
  #chosen = element("ul", { class: "picked", "aria-labelledby": "messages-chosen" });
  #lecturePart = element("div", { class: "form-field" }, this.#label, this.#lecture, this.#hint);
  #studentsPart;

  node = element("div", { class: "recipients" });

  /** @param {import("../frame/screens.js").Context} context @param {Draft} draft @param {(byUser?: boolean) => void} onChange */
  constructor(context, draft, onChange) {
    this.#draft = draft;
    this.#onChange = onChange;
    this.#table = new PagedTable({
      path: "/api/v1/students/",
      label: "messages_students",
      none: "messages_no_students",
      columns: [
        { head: "messages_name", cell: ({ name }) => name },
        { head: "messages_school", cell: ({ school, grade }) => [school, grade].filter(Boolean).join(" ") },
        { head: "messages_number", cell: (row) => phone(draft.to === "parent" ? row.parent_phone : row.phone) || "—" },
      ],
      nameOf: ({ name }) => name,
      onSelect: (rows) => this.#pick(rows),
      failed: context.failed,
    });
    this.#studentsPart = element("div", {}, element("div", { class: "form-field" }, this.#searchLabel, this.#search),
      this.#table.node, this.#chosenTitle, this.#chosen);
    this.node.append(this.#by.node, this.#lecturePart, this.#studentsPart, this.#to.node);
    this.#by.onChange = (by) => this.#change({ by });
    this.#to.onChange = (to) => this.#change({ to });
    this.#lecture.addEventListener("change", () => this.#change({ lecture: this.#lecture.value }));
    this.#search.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#table.filter({ search: this.#search.value.trim() }), PAUSE_MS);
    });
    this.#table.select(draft.picked);
    this.#readLectures();
    this.#show();
  }

  /** The recipients as fields of a request, or null if nobody is chosen. */
  get chosen() {
    if (this.#draft.by === "lecture") return this.#draft.lecture ? { lecture: Number(this.#draft.lecture) } : null;
    return this.#draft.picked.length ? { students: this.#draft.picked.map(({ id }) => id) } : null;
  }

  /** Moves the focus to what has to be chosen. */
  focus() {
    (this.#draft.by === "lecture" ? this.#lecture : this.#search).focus();
  }

  close() {
    clearTimeout(this.#timer);
  }

  render() {
    const { by, to, lecture } = this.#draft;
    this.#by.render(by);
    this.#to.render(to);
    this.#label.textContent = t("messages_lecture");
    this.#lecture.replaceChildren(new Option(t("messages_choose_lecture"), ""), ...this.#lectures.map(({ id, title, student_count: n }) => {
      const option = new Option(t("messages_lecture_option", { title, n }), `${id}`);
      option.disabled = n === 0;
      return option;
    }));
    this.#lecture.value = lecture;
    this.#hint.textContent = this.#trouble?.() ?? (this.#loaded && this.#lectures.length === 0 ? t("messages_no_lectures") : "");
    this.#searchLabel.textContent = t("messages_search");
    this.#chosenTitle.textContent = t("messages_chosen");
    this.#table.render();
    this.#renderPicked();
  }

  /** @param {Partial<Draft>} change */
  #change(change) {
    Object.assign(this.#draft, change);
    this.#show();
    this.#onChange();
  }

  #show() {
    const students = this.#draft.by === "students";
    this.#lecturePart.hidden = students;
    this.#studentsPart.hidden = !students;
    if (students && !this.#table.opened) this.#table.open(A_PAGE);
    this.render();
  }

  async #readLectures() {
    try {
      this.#lectures = await lectures();
      this.#loaded = true;
      if (!this.#lectures.some(({ id }) => `${id}` === this.#draft.lecture)) this.#draft.lecture = "";
    } catch (error) {
      this.#trouble = sentenceFor(error);
    }
    this.render();
    this.#onChange(false);
  }

  /** @param {import("../parts/paged-table.js").Row[]} rows */
  #pick(rows) {
    this.#draft.picked = rows;
    this.#renderPicked();
    this.#onChange();
  }

  #renderPicked() {
    const focused = [...this.#chosen.querySelectorAll("button")].indexOf(/** @type {any} */ (document.activeElement));
    this.#chosen.replaceChildren(...this.#draft.picked.map((row) => this.#pickedItem(row)));
    if (this.#draft.picked.length === 0) this.#chosen.append(cell("li", t("messages_chosen_none"), { class: "meta" }));
    if (focused < 0) return;
    const left = this.#chosen.querySelectorAll("button");
    /** @type {HTMLElement} */ (left[Math.min(focused, left.length - 1)] ?? this.#search).focus();
  }

  /** @param {import("../parts/paged-table.js").Row} row */
  #pickedItem(row) {
    const button = cell("button", `${row.name} ×`, { type: "button", "aria-label": t("messages_drop", { name: row.name }) });
    button.addEventListener("click", () => this.#table.unselect(row.id));
    return element("li", {}, button);
  }
}

/** A choice of one of a few. */
class Radios {
  /** @type {(value: string) => void} */
  onChange = () => undefined;
  #legend = element("legend");
  #legendKey;
  /** @type {[input: HTMLInputElement, text: HTMLElement, key: string][]} */
  #choices;

  node = element("fieldset", { class: "choices" }, this.#legend);

  /** @param {string} name @param {string} legend a key @param {[value: string, key: string][]} choices */
  constructor(name, legend, choices) {
    this.#legendKey = legend;
    this.#choices = choices.map(([value, key]) => {
      const input = /** @type {HTMLInputElement} */ (element("input", { type: "radio", name, value }));
      const text = element("span");
      input.addEventListener("change", () => this.onChange(value));
      this.node.append(element("label", {}, input, text));
      return [input, text, key];
    });
  }

  /** @param {string} value */
  render(value) {
    this.#legend.textContent = t(this.#legendKey);
    for (const [input, text, key] of this.#choices) {
      input.checked = input.value === value;
      text.textContent = t(key);
    }
  }
}
