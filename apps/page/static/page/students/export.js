// An export: it is started here, its progress comes from the feed, and its file is downloaded here.

import * as api from "../api.js";
import { Bar } from "../bar.js";
import { cell, element, whileDisabled } from "../dom.js";
import { addressOf } from "../frame/addresses.js";
import { isTerminal } from "../../realtime/client.js";
import { kindName, nameOf, reasonOf, stateName, stateOf } from "../jobs/kinds.js";
import { saveAs } from "../jobs/save.js";
import { explain, t } from "../strings.js";

const FILE_MS = 10 * 60_000;

/** @typedef {import("../../realtime/client.js").Record} Record */

export class Export {
  /** @type {Record | null} */
  #record = null;
  #live;
  #onTrouble;
  /** @type {() => void} */
  #unwatch = () => undefined;
  #bar = new Bar();
  #name = element("strong");
  #chip = element("span", { class: "chip" });
  #link = element("a");
  #said = element("p", { class: "meta" });
  #download = cell("button", "", { type: "button", class: "main" });
  #problem = element("p", { class: "problem", role: "alert" });

  node = element("div", { class: "card export" },
    element("header", {}, this.#name, this.#chip, this.#link), element("div"), this.#said, this.#download, this.#problem);

  /** @param {import("../jobs/live.js").Live} live @param {(error: unknown) => void} onTrouble takes why an export cannot begin */
  constructor(live, onTrouble) {
    this.#live = live;
    this.#onTrouble = onTrouble;
    this.#download.addEventListener("click", () => whileDisabled(this.#download, () => this.#save()));
    this.render();
  }

  /** Exports the students that the list finds. @param {string} search @param {string} lecture */
  async start(search, lecture) {
    try {
      const json = { search: search || null, lecture: lecture ? Number(lecture) : null };
      const { job_id } = await api.callJson("/api/v1/students/export/", { json });
      this.#watch(`job:${job_id}`);
    } catch (error) {
      this.#onTrouble(error);
    }
  }

  close() {
    this.#unwatch();
    this.#record = null;
    this.render();
  }

  /** Writes everything again, after a change of the record or of the language. */
  render() {
    const record = this.#record;
    this.node.hidden = !record;
    if (!record) return;
    const done = record.status === "DONE";
    this.node.dataset.status = stateOf(record);
    this.#name.textContent = nameOf(record);
    this.#chip.textContent = stateName(record);
    this.#link.textContent = t("students_export_open");
    this.#link.setAttribute("href", addressOf(record.topic));
    const { rows_done: rows, rows_total: total } = record.data ?? {};
    this.#bar.render(record, kindName("student_export"), this.#chip.textContent, total ? t("rows_done", { done: rows ?? 0, total }) : "");
    this.#said.textContent = done ? t("students_export_done") : "";
    this.#said.hidden = this.#download.hidden = !done;
    this.#download.textContent = t("students_download");
    this.#problem.textContent = record.status === "FAILED" ? reasonOf(record) : "";
  }

  /** @param {string} topic */
  #watch(topic) {
    this.close();
    this.#bar = new Bar();
    this.node.children[1].replaceChildren(this.#bar.node);
    /** @type {Record} */
    const first = { offset: 0, topic, attempt: 1, status: "PENDING", progress: null, data: { job_type: "student_export" }, published_at: Date.now() / 1000 };
    this.#unwatch = this.#live.watch(topic, (record) => this.#take(record));
    this.#live.learn([first]);
    if (!this.#record) this.#take(first);
  }

  /** @param {Record} next */
  #take(next) {
    const record = { ...next, data: { ...this.#record?.data, ...next.data } };
    this.#bar.update(this.#record ?? record, record);
    this.#record = record;
    if (isTerminal(record)) this.#unwatch();
    this.render();
  }

  async #save() {
    const record = this.#record;
    if (!record) return;
    this.#problem.textContent = "";
    try {
      const answer = await api.call(`/api/v1/jobs/${record.topic.slice("job:".length)}/file/`, { timeout: FILE_MS });
      saveAs(await answer.blob(), nameOf(record));
    } catch (error) {
      const { code, message } = /** @type {api.ApiError} */ (error);
      this.#problem.textContent = explain("error", code, message);
    }
  }
}
