// What has come of a job: the counts of an import with its failed rows, the file of an export, a video to play.

import * as api from "../api.js";
import { element, whileDisabled } from "../dom.js";
import { explain, t } from "../strings.js";
import { isOffice, mayDownload } from "./deeds.js";
import { FailedRows } from "./failed-rows.js";
import { factsOf, kindOf, nameOf } from "./kinds.js";
import { readFailedRows } from "./read-rows.js";
import { saveFailedRows } from "./rows-file.js";
import { saveAs } from "./save.js";

const FILE_MS = 10 * 60_000;

/** @typedef {import("./register.js").Work} Work */

export class Result {
  #id;
  /** @type {{[name: string]: any} | null} */
  #result = null;
  #name = "";
  #counts = element("dl", { class: "counts" });
  #download = element("button", { type: "button" });
  #playButton = element("button", { type: "button", class: "main" });
  #recipients = element("a");
  #trouble = element("p", { class: "problem", role: "alert" });
  #rows;

  node = element("div", {}, this.#counts, this.#download, this.#playButton, this.#recipients, this.#trouble);

  /** @param {string} topic @param {(id: string) => void} play */
  constructor(topic, play) {
    this.#id = topic.slice(topic.indexOf(":") + 1);
    const read = readFailedRows(this.#id);
    this.#rows = new FailedRows("job-rows", read, () => saveFailedRows(this.#id, read, this.#name, isOffice()));
    this.node.append(this.#rows.node);
    this.#recipients.setAttribute("href", `/messages/${this.#id}`);
    this.#download.addEventListener("click", () => whileDisabled(this.#download, () => this.#save()));
    this.#playButton.addEventListener("click", () => play(this.#id));
  }

  /** Takes the result from the API: a record has none if it is large. @param {any} whole what the API says of the job */
  take(whole) {
    this.#result = whole.result ?? null;
  }

  /** @param {Work} work */
  render(work) {
    const { record } = work;
    const result = record.status === "DONE" ? record.data?.result ?? this.#result : null;
    this.#name = nameOf(record);
    this.#counts.hidden = !result;
    this.#counts.replaceChildren(...factsOf(result ?? {}).map(([term, value]) => {
      const pair = element("div", {}, element("dt"), element("dd"));
      pair.children[0].textContent = term;
      pair.children[1].textContent = value;
      return pair;
    }));
    this.#download.hidden = !mayDownload(work);
    this.#download.textContent = t("download");
    this.#playButton.hidden = record.status !== "READY";
    this.#playButton.textContent = t("play");
    this.#recipients.hidden = kindOf(record) !== "bulk_message";
    this.#recipients.textContent = t("see_recipients");
    this.#rows.render(kindOf(record) === "excel_parsing" ? result?.failed ?? 0 : 0);
  }

  async #save() {
    this.#trouble.textContent = "";
    try {
      const answer = await api.call(`/api/v1/jobs/${encodeURIComponent(this.#id)}/file/`, { timeout: FILE_MS });
      saveAs(await answer.blob(), this.#name);
    } catch (error) {
      const { code, message } = /** @type {api.ApiError} */ (error);
      this.#trouble.textContent = explain("error", code, message);
    }
  }
}
