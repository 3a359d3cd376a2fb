// A list that the API gives in pages: its columns, its filters, and which rows are selected.

import * as api from "../api.js";
import { cell, element, keepingFocus } from "../dom.js";
import { sentenceFor } from "../sentences.js";
import { t } from "../strings.js";

/**
 * @typedef {{id: number | string, [field: string]: any}} Row
 * A column: `head` is the key of its heading, and `cell` returns its content for a row.
 * @typedef {{head: string, cell(row: Row): string | Node}} Column
 * `path` is the address of the list in the API, and `label` the key of the list's name. `none` is the key of the sentence for a list
 * without rows. `id` is the name of the field that identifies a row (default: `id`). `nameOf` returns the name of a row
 * for screen readers. With `onSelect`, rows can be selected. `onQuery` gets the filters and the page whenever they
 * change, as the query of an address. `onAnswer` gets each answer of the API. `failed` gets a problem after which the
 * user has to sign in again. `always` returns filters that are sent to the API besides those of the query.
 * @typedef {{path: string, label: string, none: string, columns: Column[], id?: string, nameOf(row: Row): string,
 *   onSelect?(rows: Row[]): void, onQuery?(query: string): void, onAnswer?(answer: any): void, failed(problem: unknown): void,
 *   always?(query: URLSearchParams): {[name: string]: string}}} Options
 */

export class PagedTable {
  node = element("div", { class: "paged" });
  /** @type {Row[]} */
  rows = [];
  count = 0;
  /** The selected rows of all pages. @type {Map<Row["id"], Row>} */
  #selected = new Map();
  #query = new URLSearchParams();
  /** How often the API was asked. A late answer to an earlier question is dropped. */
  #asked = 0;
  #pages = 1;
  #loading = true;
  /** @type {(() => string) | null} */
  #problem = null;
  #options;
  #status = element("p", { class: "meta", role: "status" });
  #trouble = element("p", { class: "problem", role: "alert" });
  #none = element("p", { class: "none" });
  #table = element("table", { role: "table" });
  #pager = element("nav", { class: "pager" });

  /** @param {Options} options */
  constructor(options) {
    this.#options = options;
    this.node.append(this.#status, this.#trouble, this.#none, this.#table, this.#pager);
    this.render();
  }

  /** Shows the rows for a query, such as "search=kim&page=2". @param {string} query */
  open(query) {
    this.#query = new URLSearchParams(query);
    return this.reload();
  }

  /** Changes filters, and shows the first page. An empty value removes a filter. @param {{[name: string]: string}} values */
  filter(values) {
    for (const [name, value] of Object.entries(values)) {
      if (value) this.#query.set(name, value);
      else this.#query.delete(name);
    }
    return this.#turnTo(1);
  }

  /** Whether the list was asked for. */
  get opened() {
    return this.#asked > 0;
  }

  /** The value of a filter, or "". @param {string} name */
  filterOf(name) {
    return this.#query.get(name) ?? "";
  }

  /** Reads the page again. @returns {Promise<void>} */
  async reload() {
    const asked = ++this.#asked;
    this.#loading = true;
    try {
      const query = new URLSearchParams({ ...this.#options.always?.(this.#query), ...Object.fromEntries(this.#query) }).toString();
      const answer = await api.callJson(`${this.#options.path}${query && `?${query}`}`);
      if (asked !== this.#asked) return;
      const { count, results, next } = answer;
      const { id = "id" } = this.#options;
      this.count = count;
      this.rows = results.map((/** @type {any} */ row) => ({ ...row, id: row[id] }));
      this.#pages = next ? Math.ceil(count / results.length) : this.#page;
      this.#problem = null;
      this.#options.onAnswer?.(answer);
    } catch (error) {
      if (asked !== this.#asked) return;
      const { status } = /** @type {api.ApiError} */ (error);
      if (status === 401) return this.#options.failed(error);
      if (status === 404 && this.#page > 1) return this.#turnTo(1); // rows were removed: there is no such page now
      this.#problem = sentenceFor(error);
    }
    this.#loading = false;
    this.render();
  }

  /** Shows a row as it is now. @param {Row} row */
  replace(row) {
    this.rows = this.rows.map((old) => (old.id === row.id ? row : old));
    if (this.#selected.has(row.id)) this.#selected.set(row.id, row);
    this.render();
  }

  /** Shows a row as removed. @param {Row["id"]} id */
  remove(id) {
    const left = this.rows.filter((row) => row.id !== id);
    if (left.length < this.rows.length) this.count -= 1;
    this.rows = left;
    if (this.#selected.delete(id)) this.#options.onSelect?.([...this.#selected.values()]);
    this.render();
  }

  /** Selects rows, which may be on other pages. @param {Row[]} rows */
  select(rows) {
    for (const row of rows) this.#selected.set(row.id, row);
    this.render();
  }

  /** @param {Row["id"]} id */
  unselect(id) {
    this.#selected.delete(id);
    this.#selectionChanged();
  }

  clearSelection() {
    this.#selected.clear();
    this.#selectionChanged();
  }

  /** Writes everything again, in the chosen language. */
  render() {
    const { label, none } = this.#options;
    this.#table.setAttribute("aria-label", t(label));
    this.#table.hidden = this.rows.length === 0;
    const body = element("tbody", { role: "rowgroup" }, ...this.rows.map((row) => this.#line(row)));
    keepingFocus(this.#table, () => this.#table.replaceChildren(this.#head(), body));
    this.#trouble.textContent = this.#problem?.() ?? "";
    this.#none.textContent = t([...this.#query.keys()].some((name) => name !== "page") ? "rows_none" : none);
    this.#none.hidden = this.#loading || this.rows.length > 0 || this.#problem !== null;
    this.#renderStatus();
    this.#renderPager();
  }

  get #page() {
    return Math.max(1, Number(this.#query.get("page")) || 1);
  }

  /** @param {number} page @returns {Promise<void>} */
  #turnTo(page) {
    if (page > 1) this.#query.set("page", `${page}`);
    else this.#query.delete("page");
    this.#options.onQuery?.(this.#query.toString());
    return this.reload();
  }

  #renderStatus() {
    const shown = this.rows.length;
    const from = this.#page < this.#pages ? (this.#page - 1) * shown + 1 : this.count - shown + 1;
    const values = { count: this.count, from, to: from + shown - 1 };
    const range = t(this.#pages > 1 ? "rows_range" : "rows_count", values);
    const selected = this.#selected.size ? ` · ${t("rows_selected", { n: this.#selected.size })}` : "";
    this.#status.textContent = this.#loading ? t("loading") : shown ? range + selected : "";
  }

  #renderPager() {
    this.#pager.hidden = this.#pages <= 1;
    this.#pager.setAttribute("aria-label", t("rows_pages"));
    const focused = this.#pager.contains(document.activeElement);
    this.#pager.replaceChildren(this.#turner("rows_previous", this.#page - 1), this.#turner("rows_next", this.#page + 1));
    const enabled = /** @type {HTMLElement | null} */ (this.#pager.querySelector("button:enabled"));
    if (focused) (enabled ?? this.#table).focus();
  }

  /** @param {string} key @param {number} page */
  #turner(key, page) {
    const button = cell("button", t(key), { type: "button" });
    button.toggleAttribute("disabled", page < 1 || page > this.#pages);
    button.addEventListener("click", () => this.#turnTo(page));
    return button;
  }

  #head() {
    const heads = this.#options.columns.map(({ head }) => (head ? cell("th", t(head), { role: "columnheader", scope: "col" }) : element("td", { role: "cell" })));
    if (this.#options.onSelect) heads.unshift(element("th", { role: "columnheader", class: "tick" }, this.#pageBox()));
    return element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...heads));
  }

  /** @param {Row} row */
  #line(row) {
    const cells = this.#options.columns.map(({ head, cell: show }) => {
      const shown = show(row);
      return element("td", { role: "cell", "data-label": head && t(head) }, shown instanceof Node ? shown : document.createTextNode(shown));
    });
    if (this.#options.onSelect) cells.unshift(element("td", { role: "cell", class: "tick" }, this.#rowBox(row)));
    return element("tr", { role: "row", "data-row": `${row.id}` }, ...cells);
  }

  #pageBox() {
    const box = /** @type {HTMLInputElement} */ (element("input", { type: "checkbox", "aria-label": t("select_page") }));
    box.checked = this.rows.length > 0 && this.rows.every(({ id }) => this.#selected.has(id));
    box.addEventListener("change", () => {
      for (const row of this.rows) this.#select(row, box.checked);
      this.#selectionChanged();
      /** @type {HTMLElement | null} */ (this.#table.querySelector("thead input"))?.focus();
    });
    return box;
  }

  /** @param {Row} row */
  #rowBox(row) {
    const box = /** @type {HTMLInputElement} */ (element("input", { type: "checkbox", "aria-label": t("select_row", { name: this.#options.nameOf(row) }) }));
    box.checked = this.#selected.has(row.id);
    box.addEventListener("change", () => {
      this.#select(row, box.checked);
      this.#options.onSelect?.([...this.#selected.values()]);
      this.#renderStatus();
    });
    return box;
  }

  /** @param {Row} row @param {boolean} wanted */
  #select(row, wanted) {
    if (wanted) this.#selected.set(row.id, row);
    else this.#selected.delete(row.id);
  }

  #selectionChanged() {
    this.#options.onSelect?.([...this.#selected.values()]);
    this.render();
  }
}
