// The page of one bulk message: how far it is, what became of each recipient, and what can be done about it.

import * as api from "../api.js";
import { Bar } from "../bar.js";
import { cell, element } from "../dom.js";
import { writeTitle } from "../frame/title.js";
import { Buttons } from "../jobs/buttons.js";
import { nameOf, reasonOf, stateName, stateOf } from "../jobs/kinds.js";
import { PagedTable } from "../parts/paged-table.js";
import { isTerminal } from "../../realtime/client.js";
import { sentenceFor } from "../sentences.js";
import { t, when } from "../strings.js";
import { headOf, recipientsOf, recordOf, totalsInWords, totalsOf } from "./outcome.js";
import { phone } from "./size.js";

const FILTERS = ["", "sent", "failed", "pending"];

/** @typedef {import("./outcome.js").Bulk & {retryable: number, without_number: number, retry_can_help: boolean}} Detail
 *  @typedef {import("../../realtime/client.js").Record} Record */

export class MessageDetail {
  node = element("div", { class: "message" });
  #id;
  #context;
  #office;
  /** @type {Detail | null} */
  #detail = null;
  /** @type {Record | null} */
  #record = null;
  /** @type {import("./outcome.js").Totals} */
  #totals = { sent: 0, failed: 0, total: 0 };
  /** @type {(() => string) | null} */
  #trouble = null;
  #retrying = false;
  #back = element("a", { href: "/messages" });
  #title = element("h1", { id: "messages-title", tabindex: "-1" });
  #chip = element("span", { class: "chip" });
  #about = element("span");
  #text = element("blockquote", { class: "whole" });
  #bar = new Bar();
  #counts = element("dl", { class: "counts" });
  #failure = element("p", { class: "problem" });
  #buttons = new Buttons(this.#title);
  #retry = cell("button", "", { type: "button", "aria-describedby": "messages-retry-hint" });
  #retryHint = element("p", { id: "messages-retry-hint", class: "hint" });
  #noNumber = element("p", { class: "warnings" });
  #links = element("p", { class: "meta links" });
  #problem = element("p", { class: "problem", role: "alert" });
  #body = element("div", {}, element("p", { class: "kind" }, this.#chip, this.#about), this.#text, this.#bar.node, this.#counts,
    this.#failure, this.#buttons.node, this.#noNumber, element("div", { class: "retry" }, this.#retry, this.#retryHint), this.#problem, this.#links);
  #listTitle = element("h2");
  #filters = element("div", { class: "choose", role: "group" });
  #later = element("p", { class: "hint" });
  #table;
  #stop;

  /** @param {import("../frame/screens.js").Context} context @param {boolean} office @param {string} id of the job */
  constructor(context, office, id) {
    this.#context = context;
    this.#office = office;
    this.#id = id;
    this.#table = new PagedTable({
      path: `/api/v1/messages/${encodeURIComponent(id)}/`,
      label: "messages_recipients",
      none: "messages_recipients_none",
      columns: [
        { head: "messages_name", cell: ({ name }) => name ?? t("messages_unknown_student") },
        { head: "messages_number", cell: ({ recipient }) => phone(recipient) || "—" },
        { head: "messages_outcome", cell: (row) => this.#outcomeOf(row) },
      ],
      nameOf: ({ name }) => name ?? "",
      onQuery: context.setQuery,
      onAnswer: (answer) => this.#take(answer),
      failed: context.failed,
    });
    this.#body.hidden = true;
    this.node.append(element("p", { class: "up" }, this.#back), this.#title, this.#body, this.#listTitle, this.#filters, this.#later, this.#table.node);
    this.#retry.addEventListener("click", () => this.#retryFailed());
    this.#filters.append(...FILTERS.map((filter) => this.#filterButton(filter)));
    this.#stop = context.live.watch("job:*", (record) => record.topic === `job:${id}` && this.#note(record));
    this.render();
  }

  get title() {
    return this.#detail ? headOf(this.#detail.text) : t("messages_result");
  }

  /** @param {string} query of the address */
  open(query) {
    this.#table.open(query);
    this.#renderFilters();
  }

  close() {
    this.#stop();
  }

  render() {
    this.#back.textContent = t("messages_all");
    this.#listTitle.textContent = t("messages_recipients");
    this.#later.textContent = t("messages_fills_later");
    this.#retryHint.textContent = t("messages_retry_hint");
    this.#renderBody();
    this.#renderFilters();
    this.#table.render();
  }

  /** Shows an answer of the API. The feed may have brought a newer record, which is kept. @param {Detail} detail */
  #take(detail) {
    const first = this.#detail === null;
    this.#detail = detail;
    const record = recordOf(detail);
    const { attempt } = this.#record ?? record;
    // For the same attempt, only an end is newer: the API has no counts of a running attempt, but the feed has.
    const newer = record.attempt > attempt || (record.attempt === attempt && isTerminal(record));
    if (this.#record === null || newer) this.#follow(record);
    this.#renderBody();
    if (first) writeTitle();
  }

  /** @param {Record} record of the feed */
  #note(record) {
    if (record.status === "UNKNOWN") return;
    const before = this.#record;
    this.#follow(record);
    this.#renderBody();
    // Only the API has the result of each recipient.
    if (before && isTerminal(record) && !isTerminal(before)) this.#table.reload();
  }

  /** @param {Record} record */
  #follow(record) {
    this.#bar.update(this.#record ?? record, record);
    this.#totals = totalsOf(record) ?? this.#detail?.totals ?? this.#totals;
    this.#record = record;
  }

  #renderBody() {
    this.#title.textContent = this.title;
    const detail = this.#detail;
    const record = this.#record;
    this.#body.hidden = !detail || !record;
    this.#later.hidden = !record || isTerminal(record);
    this.#problem.textContent = this.#trouble?.() ?? "";
    if (!detail || !record) return;
    const state = stateName(record);
    this.node.dataset.status = stateOf(record);
    this.#chip.textContent = state;
    const time = when(Date.parse(detail.created_at) / 1000);
    this.#about.textContent = [recipientsOf({ ...detail, totals: this.#totals }), time, detail.created_by].filter(Boolean).join(" · ");
    this.#text.textContent = detail.text;
    this.#text.hidden = detail.text === this.title;
    this.#bar.render(record, nameOf(record), state, totalsInWords(this.#totals));
    this.#renderCounts(this.#totals);
    this.#failure.textContent = record.status === "FAILED" ? reasonOf(record) : "";
    this.#buttons.render(this.#workOf(detail, record));
    this.#renderRetry(detail);
  }

  /** @param {import("./outcome.js").Totals} totals */
  #renderCounts({ sent, failed, total }) {
    const counts = { sent, failed, left: total - sent - failed, total };
    this.#counts.replaceChildren(...Object.entries(counts).map(([name, value]) => (
      element("div", { "data-outcome": name, ...(value === 0 && { class: "zero" }) },
        cell("dt", t(`messages_${name}`)), cell("dd", value.toLocaleString())))));
  }

  /** @param {Detail} detail */
  #renderRetry({ retryable, without_number: without, retried_by, retry_of }) {
    this.#noNumber.hidden = !this.#office || without === 0;
    this.#noNumber.replaceChildren(cell("span", `${t("messages_no_number_hint", { n: without })} `), cell("a", t("messages_to_students"), { href: "/students" }));
    this.#retry.hidden = this.#retryHint.hidden = !this.#office || retryable === 0;
    this.#retry.textContent = t("messages_retry", { n: retryable });
    this.#links.replaceChildren(
      ...(retried_by ? [cell("span", t("messages_retried")), cell("a", t("messages_see_retry"), { href: `/messages/${retried_by}` })] : []),
      ...(retry_of ? [cell("span", t("messages_is_retry")), cell("a", t("messages_see_first"), { href: `/messages/${retry_of}` })] : []),
    );
  }

  /** @param {Detail} detail @param {Record} record @returns {import("../jobs/register.js").Work} */
  #workOf({ created_at, created_by, finished_at, retry_can_help }, record) {
    const began = Date.parse(created_at) / 1000;
    const ended = finished_at ? Date.parse(finished_at) / 1000 : null;
    return { topic: record.topic, record, began, events: [], detail: { by: created_by, began, sent: began, ended, retryCanHelp: retry_can_help } };
  }

  /** @param {string} filter */
  #filterButton(filter) {
    const button = cell("button", "", { type: "button", "data-filter": filter });
    button.addEventListener("click", () => {
      this.#table.filter({ status: filter });
      this.#renderFilters();
    });
    return button;
  }

  #renderFilters() {
    this.#filters.setAttribute("aria-label", t("messages_filter"));
    for (const button of this.#filters.querySelectorAll("button")) {
      const filter = button.dataset.filter ?? "";
      button.textContent = t(`messages_show_${filter || "all"}`);
      button.setAttribute("aria-pressed", `${filter === this.#table.filterOf("status")}`);
    }
  }

  /** @param {import("../parts/paged-table.js").Row} row */
  #outcomeOf({ status, code, error, sent_at, student_id: student }) {
    const over = this.#record !== null && isTerminal(this.#record);
    const word = status === "PENDING" && over ? "not_sent" : status;
    const text = sent_at ? t("messages_sent_at", { time: when(Date.parse(sent_at) / 1000) }) : t(`messages_status_${word}`);
    const node = element("div", { class: "outcome", "data-status": status === "SENT" ? "DONE" : status }, cell("span", text, { class: "chip" }));
    if (code) node.append(cell("span", t(`messages_why_${code}`, { reason: error }), { class: "meta" }));
    if (code === "no_phone" && student && this.#office) node.append(cell("a", t("messages_add_number"), { href: `/students/${student}` }));
    return node;
  }

  async #retryFailed() {
    const n = this.#detail?.retryable ?? 0;
    if (this.#retrying || !(await this.#context.ask("messages_retry_ask", { n: `${n}` }))) return;
    this.#retrying = true;
    this.#trouble = null;
    try {
      const { job_id } = await api.callJson(`/api/v1/messages/${encodeURIComponent(this.#id)}/retry-failed/`, { method: "POST" });
      this.#context.go(`/messages/${job_id}`);
    } catch (error) {
      const { status } = /** @type {api.ApiError} */ (error);
      if (status === 401) return this.#context.failed(error);
      this.#trouble = sentenceFor(error);
      this.#renderBody();
      if (status === 409) this.#table.reload(); // somebody else was faster: their retry is shown
    } finally {
      this.#retrying = false;
    }
  }
}
