// One import on the page: its bar, its counts, its failed rows.

import { explain, number, t, when, wordFor } from "./strings.js";

/**
 * @typedef {import("./fold.js").Record} Record
 * @typedef {{line: number, name: string, code: string, reason: string}} Row
 * @typedef {{result: {[outcome: string]: number}, next: string | null, rows: Row[]}} ResultPage
 * @typedef {(jobId: string, page: number) => Promise<ResultPage>} ReadRows
 */

const OUTCOMES = ["created", "restored", "existing", "failed"];

/** @param {string} tag @param {{[name: string]: string}} [attributes] @param {Node[]} children */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** @param {Record} record */
export function reasonOf(record) {
  return explain("error", record.error?.code ?? "internal", record.error?.message);
}

/** @param {number} seconds */
function remaining(seconds) {
  return seconds < 90 ? t("seconds_left", { n: Math.max(1, Math.round(seconds)) }) : t("minutes_left", { n: Math.round(seconds / 60) });
}

export class Card {
  /** @type {Record} */
  #record;
  #fileName = "";
  #percent = 0;
  /** Whether a feed has said how far it is: the database does not know. */
  #known = false;
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
  #fill = element("div", { class: "fill" });
  #bar = element("div", { class: "bar", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100" }, this.#fill);
  #share = element("strong", { class: "percent" });
  #meta = element("span", { class: "meta" });
  #running = element("div", { class: "running" }, this.#bar, element("p", {}, this.#share, this.#meta));
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
    this.#running, this.#tally, this.#problem, this.#toggle, this.#details,
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
    // The work of an attempt that died is kept by the next one, so the bar waits for it; a finished try starts anew.
    const again = record.attempt > this.#record.attempt && this.#record.status !== "PROCESSING";
    this.#percent = Math.max(again ? 0 : this.#percent, record.progress?.percent ?? 0);
    if (record.status === "DONE") this.#percent = 100;
    this.#known ||= record.progress !== undefined;
    if (record.attempt > this.#record.attempt) this.#forgetRows();
    // From not knowing to knowing the bar jumps; only real progress moves it.
    this.#fill.style.transition = this.#record.progress ? "" : "none";
    this.#record = record;
    this.#fileName = record.data?.file_name || this.#fileName;
    this.#counts = record.data?.result ?? this.#counts;
    if (record.status === "DONE" && !this.#counts) this.#load();
    this.render();
  }

  /** Draws all texts anew: after a change of the record or of the language. */
  render() {
    const { status, stalled, published_at: time } = this.#record;
    const unfinished = status === "PENDING" || status === "PROCESSING";
    this.node.dataset.status = stalled && unfinished ? "STALLED" : status;
    this.#title.textContent = this.name;
    this.#chip.textContent = t(stalled && unfinished ? "stalled" : status);
    this.#time.textContent = !unfinished && time ? when(time) : "";
    this.#running.hidden = !unfinished;
    if (unfinished) this.#renderBar();
    this.#renderCounts();
    this.#problem.hidden = status !== "FAILED";
    this.#problem.textContent = status === "FAILED" ? reasonOf(this.#record) : "";
    this.#renderRows();
  }

  #renderBar() {
    const { progress, attempt, stalled, data } = this.#record;
    // Rounded down: 100 % stands for done and for nothing else.
    const share = this.#known ? `${Math.floor(this.#percent)}%` : t("loading");
    const step = progress?.step;
    const about = [
      step ? wordFor("step", step.name) : "",
      data?.rows_total ? t("rows_done", { done: data.rows_done ?? 0, total: data.rows_total }) : "",
      !stalled && progress?.remaining_seconds != null ? remaining(progress.remaining_seconds) : "",
      attempt > 1 ? t("attempt", { n: attempt }) : "",
    ].filter(Boolean).join(" · ");
    this.#bar.classList.toggle("unknown", !this.#known);
    this.#fill.style.transform = this.#known ? `translateX(${this.#percent - 100}%)` : "";
    this.#share.textContent = share;
    this.#meta.textContent = about;
    this.#bar.setAttribute("aria-label", t("progress_of", { name: this.name }));
    // Without a value it is an indeterminate bar.
    if (this.#known) this.#bar.setAttribute("aria-valuenow", `${Math.floor(this.#percent)}`);
    this.#bar.setAttribute("aria-valuetext", [share, this.#chip.textContent, about].filter(Boolean).join(", "));
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

/** @param {string} tag @param {string} text @param {{[name: string]: string}} [attributes] */
function cell(tag, text, attributes) {
  const node = element(tag, attributes);
  node.textContent = text;
  return node;
}
