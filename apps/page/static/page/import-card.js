// One import on the page: its bar, its counts, its failed rows.

import { Bar } from "./bar.js";
import { cell, element } from "./dom.js";
import { isTerminal } from "../realtime/client.js";
import { explain, number, t, when } from "./strings.js";

/**
 * @typedef {import("../realtime/client.js").Record} Record
 * @typedef {{line: number, name: string, code: string, reason: string}} Row
 * @typedef {{result: {[outcome: string]: number}, next: string | null, rows: Row[]}} ResultPage
 * @typedef {(jobId: string, page: number) => Promise<ResultPage>} ReadRows
 */

const OUTCOMES = ["created", "restored", "existing", "failed"];

/** @param {Record} record */
export function reasonOf(record) {
  return explain("error", record.error?.code ?? "internal", record.error?.message);
}

export class ImportCard {
  /** @type {Record} */
  #record;
  #fileName = "";
  #bar = new Bar();
  #readRows;
  /** @type {{[outcome: string]: number} | null} */
  #counts = null;
  /** @type {Row[]} */
  #rows = [];
  #page = 0;
  #more = true;
  #loading = false;

  #title = element("h3");
  #chip = element("span", { class: "chip" });
  #time = element("time");
  #tally = element("dl", { class: "counts" });
  #problem = element("p", { class: "problem" });
  #toggle = element("button", { type: "button", class: "quiet", "aria-expanded": "false" });
  #caption = element("caption", { class: "visually-hidden" });
  #head = element("tr");
  #body = element("tbody");
  #moreButton = /** @type {HTMLButtonElement} */ (element("button", { type: "button", class: "quiet" }));
  #trouble = element("p", { class: "problem", role: "alert" });
  #table = element("table", {}, this.#caption, element("thead", {}, this.#head), this.#body);
  #details = element("div", { class: "rows" }, this.#table, this.#trouble, this.#moreButton);

  node = element(
    "li",
    { class: "card" },
    element("header", {}, this.#title, this.#chip, this.#time),
    this.#bar.node, this.#tally, this.#problem, this.#toggle, this.#details,
  );

  /** @param {Record} record @param {ReadRows} readRows */
  constructor(record, readRows) {
    this.#record = record;
    this.#readRows = readRows;
    this.#details.id = `rows-${record.topic}`;
    this.#toggle.setAttribute("aria-controls", this.#details.id);
    this.#details.hidden = true;
    this.#toggle.addEventListener("click", () => this.#fold());
    this.#moreButton.addEventListener("click", () => this.#load());
    this.update(record);
  }

  get record() {
    return this.#record;
  }

  get name() {
    return this.#fileName || t("unnamed");
  }

  /** @param {Record} record */
  update(record) {
    this.#bar.update(this.#record, record);
    if (record.attempt > this.#record.attempt) this.#forgetRows();
    this.#record = record;
    this.#fileName = record.data?.file_name || this.#fileName;
    this.#counts = record.data?.result ?? this.#counts;
    if (record.status === "DONE" && !this.#counts) this.#load();
    this.render();
  }

  /** Draws all texts again: after a change of the record or of the language. */
  render() {
    const { status, stalled, published_at: time, data } = this.#record;
    const stands = stalled && !isTerminal(this.#record);
    this.node.dataset.status = stands ? "STALLED" : status;
    this.#title.textContent = this.name;
    this.#chip.textContent = t(stands ? "stalled" : status);
    this.#time.textContent = isTerminal(this.#record) && time ? when(time) : "";
    const counted = data?.rows_total ? t("rows_done", { done: data.rows_done ?? 0, total: data.rows_total }) : "";
    this.#bar.render(this.#record, this.name, this.#chip.textContent, counted);
    this.#renderCounts();
    this.#problem.hidden = status !== "FAILED";
    this.#problem.textContent = status === "FAILED" ? reasonOf(this.#record) : "";
    this.#renderRows();
  }

  #renderCounts() {
    const counts = this.#counts;
    this.#tally.hidden = !counts;
    if (!counts) return;
    this.#tally.replaceChildren(...OUTCOMES.map((outcome) => {
      const pair = element("div", { "data-outcome": outcome }, element("dt"), element("dd"));
      const [term, value] = pair.children;
      term.textContent = t(outcome);
      value.textContent = number(counts[outcome] ?? 0);
      if (!counts[outcome]) pair.classList.add("zero");
      return pair;
    }));
  }

  #renderRows() {
    const failed = this.#counts?.failed ?? 0;
    const open = !this.#details.hidden;
    this.#toggle.hidden = failed === 0;
    this.#toggle.textContent = open ? t("failed_hide") : t("failed_show", { n: failed });
    this.#caption.textContent = t("failed_rows");
    this.#moreButton.textContent = t("show_more");
    this.#moreButton.hidden = !this.#more || this.#page === 0;
    this.#table.hidden = this.#rows.length === 0;
    this.#head.replaceChildren(...["line", "name", "reason"].map((key) => cell("th", t(key), { scope: "col" })));
    this.#body.replaceChildren(...this.#rows.map(({ line, name, code, reason }) => element("tr", { tabindex: "-1" },
      cell("td", `${line}`), cell("td", name || "—"), cell("td", explain("row", code, reason)))));
  }

  #fold() {
    this.#details.hidden = !this.#details.hidden;
    this.#toggle.setAttribute("aria-expanded", `${!this.#details.hidden}`);
    if (!this.#details.hidden && this.#page === 0) this.#load();
    this.render();
  }

  async #load() {
    if (this.#loading) return;
    this.#loading = true;
    const first = this.#rows.length;
    this.#trouble.textContent = "";
    try {
      const answer = await this.#readRows(this.#record.topic.slice("job:".length), this.#page + 1);
      this.#page += 1;
      this.#rows.push(...answer.rows);
      this.#more = answer.next !== null;
      this.#counts ??= answer.result;
    } catch (error) {
      const { code, message } = /** @type {{code: string, message: string}} */ (error);
      this.#trouble.textContent = explain("error", code, message);
    }
    this.#loading = false;
    this.render();
    // The reader goes on where the new rows begin; the button may be gone.
    if (first > 0) /** @type {HTMLElement | undefined} */ (this.#body.children[first])?.focus();
  }

  #forgetRows() {
    this.#counts = null;
    this.#rows = [];
    this.#page = 0;
    this.#more = true;
    this.#details.hidden = true;
    this.#toggle.setAttribute("aria-expanded", "false");
  }
}
