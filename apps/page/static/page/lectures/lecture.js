// A lecture: what it is, who attends it, its lessons and their videos.

import * as api from "../api.js";
import { cell, element } from "../dom.js";
import { VIEWS, placeOf } from "../frame/addresses.js";
import { writeTitle } from "../frame/title.js";
import { FormDialog } from "../parts/form-dialog.js";
import { sentenceFor } from "../sentences.js";
import { t } from "../strings.js";
import { Lessons } from "./lessons.js";
import { FIELDS } from "./list.js";
import { isOffice } from "./office.js";
import { Students } from "./students.js";

/** @typedef {{id: number, title: string, description: string, active: boolean, student_count: number, video_count: number,
 *   video_changes: number}} Facts */

export class Lecture {
  /** @type {Facts | null} */
  #facts = null;
  #missing = false;
  /** What was done, or went wrong. @type {(() => string) | null} */
  #said = null;
  #problem = /** @type {(() => string) | null} */ (null);
  #context;
  #path;
  #up = element("p", { class: "up" }, element("a", { href: "/lectures" }));
  #heading = element("h1", { id: "lectures-title", tabindex: "-1" });
  #archived = element("span", { class: "chip" });
  #description = element("p", { class: "lead description" });
  #deeds = element("div", { class: "deeds lecture-deeds" });
  #status = element("p", { class: "doing", role: "status" });
  #trouble = element("p", { class: "problem", role: "alert" });
  #form;
  #students;
  #lessons;
  #body;
  node = element("div", { class: "lecture" });

  /** @param {import("../frame/screens.js").Context} context @param {string} id */
  constructor(context, id) {
    this.#context = context;
    this.#path = `/api/v1/lectures/${encodeURIComponent(id)}/`;
    const said = {
      done: (/** @type {() => string} */ sentence) => this.#say(sentence, null),
      failed: (/** @type {unknown} */ error) => this.#failed(error),
      counted: () => this.#read(),
    };
    this.#students = new Students(context, id, said);
    this.#lessons = new Lessons(context, id, said);
    this.#body = element("div", { hidden: "" }, this.#students.node, this.#lessons.node);
    this.node.append(this.#up, element("div", { class: "above heading" }, this.#heading, this.#archived), this.#description,
      this.#deeds, this.#status, this.#trouble, this.#body);
    this.#form = new FormDialog(this.node, {
      title: "lectures_change", fields: FIELDS, failed: context.failed,
      work: (json) => api.callJson(this.#path, { method: "PATCH", json }),
    });
    this.render();
  }

  get title() {
    return this.#facts?.title ?? t(this.#missing ? "lectures_missing" : "lectures_title");
  }

  async show() {
    if (!(await this.#read()) || !this.#facts) return;
    this.#body.hidden = false;
    this.#students.show();
    this.#lessons.show(this.#facts);
  }

  leave() {
    this.#students.leave();
    this.#lessons.leave();
  }

  render() {
    const facts = this.#facts;
    /** @type {Element} */ (this.#up.firstElementChild).textContent = t("lectures_all");
    this.#heading.textContent = this.title;
    this.#archived.textContent = t("lectures_is_archived");
    this.#archived.hidden = facts?.active !== false;
    this.#description.textContent = this.#missing ? t("lectures_missing_lead") : facts?.description ?? "";
    this.#status.textContent = facts || this.#missing || this.#problem ? this.#said?.() ?? "" : t("loading");
    this.#trouble.textContent = this.#problem?.() ?? "";
    this.#deeds.replaceChildren(...(facts ? this.#buttons(facts) : []));
    this.#form.render();
    this.#students.render();
    this.#lessons.render();
    writeTitle();
  }

  /** Reads the lecture. Returns whether it was found. */
  async #read() {
    try {
      this.#facts = await api.callJson(this.#path);
    } catch (error) {
      this.#missing = error instanceof api.ApiError && error.status === 404;
      if (!this.#missing) this.#failed(error);
    }
    this.render();
    return this.#facts !== null && !this.#missing;
  }

  /** @param {Facts} facts */
  #buttons(facts) {
    const links = [];
    if (isOffice(this.#context)) {
      links.push(this.#button("lectures_edit", () => this.#edit(facts)));
      links.push(facts.active ? this.#button("lectures_archive", () => this.#archive(facts)) : this.#button("lectures_take_back", () => this.#change({ active: true })));
      if (facts.video_count === 0) links.push(this.#button("lectures_delete", () => this.#delete(facts)));
    }
    const role = this.#context.claims()?.role ?? "";
    const writing = placeOf("/messages/new");
    if (writing && VIEWS[writing.view].includes(role) && facts.student_count > 0 && isOffice(this.#context)) {
      links.push(cell("a", t("lectures_write"), { class: "quiet", href: `/messages/new?lecture=${facts.id}` }));
    }
    if (facts.active) links.push(cell("a", t("lectures_upload"), { class: "quiet", href: `/videos?lecture=${facts.id}` }));
    return links;
  }

  /** @param {string} key @param {() => Promise<void>} work */
  #button(key, work) {
    const button = /** @type {HTMLButtonElement} */ (cell("button", t(key), { type: "button", class: "quiet", "data-deed": key }));
    button.addEventListener("click", async () => {
      button.disabled = true;
      await work().catch((error) => this.#failed(error));
      button.disabled = false;
      // The button may have been created again, or replaced by another one.
      const same = /** @type {HTMLElement | null} */ (this.#deeds.querySelector(`[data-deed=${key}]`) ?? this.#deeds.firstElementChild);
      if (this.node.isConnected) same?.focus();
    });
    return button;
  }

  /** @param {Facts} facts */
  async #edit(facts) {
    const changed = await this.#form.open({ title: facts.title, description: facts.description });
    if (!changed) return;
    this.#facts = changed;
    this.#say(() => t("lectures_saved"), null);
  }

  /** @param {Facts} facts */
  async #archive(facts) {
    if (await this.#context.ask("lectures_ask_archive", { name: facts.title })) await this.#change({ active: false });
  }

  /** @param {object} json */
  async #change(json) {
    this.#facts = await api.callJson(this.#path, { method: "PATCH", json });
    this.#say(() => t("lectures_saved"), null);
  }

  /** @param {Facts} facts */
  async #delete(facts) {
    if (!(await this.#context.ask("lectures_ask_delete", { name: facts.title }))) return;
    await api.call(this.#path, { method: "DELETE" });
    this.#context.go("/lectures");
  }

  /** @param {unknown} error */
  #failed(error) {
    if (error instanceof api.ApiError && error.status === 401) return this.#context.failed(error);
    this.#say(null, sentenceFor(error));
  }

  /** @param {(() => string) | null} said @param {(() => string) | null} problem */
  #say(said, problem) {
    this.#said = said;
    this.#problem = problem;
    this.render();
  }
}
