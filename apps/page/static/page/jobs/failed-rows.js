// The failed rows of a job: a table with the reasons, page by page, and its download.

import { cell, element } from "../dom.js";
import { explain, t } from "../strings.js";

/**
 * @typedef {{line: number, name: string, code: string, reason: string}} Row
 * @typedef {{result: {[outcome: string]: number}, next: string | null, rows: Row[]}} ResultPage
 * @typedef {(page: number, size?: number) => Promise<ResultPage>} ReadRows
 */

export class FailedRows {
  #read;
  #save;
  /** @type {Row[]} */
  #rows = [];
  #page = 0;
  #more = true;
  #loading = false;
  #failed = 0;

  #toggle = element("button", { type: "button", class: "quiet", "aria-expanded": "false" });
  #download = element("button", { type: "button", class: "quiet" });
  #caption = element("caption", { class: "visually-hidden" });
  #head = element("tr");
  #body = element("tbody");
  #moreButton = element("button", { type: "button", class: "quiet" });
  #trouble = element("p", { class: "problem", role: "alert" });
  #table = element("table", {}, this.#caption, element("thead", {}, this.#head), this.#body);
  #details = element("div", { class: "rows" }, this.#table, this.#trouble, this.#moreButton);

  node = element("div", { class: "failed-rows" }, this.#toggle, this.#download, this.#details);

  /** @param {string} id of the table's element @param {ReadRows} read @param {(() => Promise<void>) | null} [save] downloads all rows */
  constructor(id, read, save = null) {
    this.#read = read;
    this.#save = save;
    this.#details.id = id;
    this.#toggle.setAttribute("aria-controls", id);
    this.#details.hidden = true;
    this.#toggle.addEventListener("click", () => this.#fold());
    this.#moreButton.addEventListener("click", () => this.load());
    this.#download.addEventListener("click", () => this.#try(() => save?.() ?? Promise.resolve()));
  }

  /** @param {number} failed how many rows have failed */
  render(failed) {
    this.#failed = failed;
    const open = !this.#details.hidden;
    this.node.hidden = failed === 0 && !this.#trouble.textContent;
    this.#toggle.hidden = failed === 0;
    this.#toggle.textContent = open ? t("failed_hide") : t("failed_show", { n: failed });
    this.#download.hidden = failed === 0 || !this.#save;
    this.#download.textContent = t("failed_download");
    this.#caption.textContent = t("failed_rows");
    this.#moreButton.textContent = t("show_more");
    this.#moreButton.hidden = !this.#more || this.#page === 0;
    this.#table.hidden = this.#rows.length === 0;
    this.#head.replaceChildren(...["line", "name", "reason"].map((key) => cell("th", t(key), { scope: "col" })));
    this.#body.replaceChildren(...this.#rows.map(({ line, name, code, reason }) => element("tr", { tabindex: "-1" },
      cell("td", `${line}`), cell("td", name || "—"), cell("td", explain("row", code, reason)))));
  }

  /** Reads the next page. @returns {Promise<ResultPage | null>} */
  async load() {
    const rows = this.#rows;
    const first = rows.length;
    const answer = await this.#try(() => this.#read(this.#page + 1));
    if (!answer || rows !== this.#rows) return null; // the rows were forgotten meanwhile
    this.#page += 1;
    this.#rows.push(...answer.rows);
    this.#more = answer.next !== null;
    this.render(Math.max(this.#failed, this.#rows.length));
    // The reader goes on where the new rows begin; the button may be gone.
    if (first > 0) /** @type {HTMLElement | undefined} */ (this.#body.children[first])?.focus();
    return answer;
  }

  forget() {
    this.#rows = [];
    this.#page = this.#failed = 0;
    this.#more = true;
    this.#details.hidden = true;
    this.#toggle.setAttribute("aria-expanded", "false");
  }

  #fold() {
    this.#details.hidden = !this.#details.hidden;
    this.#toggle.setAttribute("aria-expanded", `${!this.#details.hidden}`);
    if (!this.#details.hidden && this.#page === 0) this.load();
    this.render(this.#failed);
  }

  /** @template T @param {() => Promise<T>} work @returns {Promise<T | null>} */
  async #try(work) {
    if (this.#loading) return null;
    this.#loading = true;
    this.#trouble.textContent = "";
    try {
      return await work();
    } catch (error) {
      const { code, message } = /** @type {{code: string, message: string}} */ (error);
      this.#trouble.textContent = explain("error", code, message);
      this.#details.hidden = false; // the trouble is said in there
      this.render(this.#failed);
      return null;
    } finally {
      this.#loading = false;
    }
  }
}
