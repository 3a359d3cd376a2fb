// The progress of a bulk message, from the API or from the feed, whichever is newer.

import { isTerminal } from "../../realtime/client.js";
import { element } from "../dom.js";
import { stateName, stateOf } from "../jobs/kinds.js";
import { t } from "../strings.js";

/**
 * @typedef {import("../../realtime/client.js").Record} Record
 * @typedef {{sent: number, failed: number, total: number}} Totals
 * @typedef {{id: string, job_id: string, status: string, attempt: number, text: string, to: "parent" | "student",
 *   lecture: number | null, lecture_title: string | null, totals: Totals, created_by: string | null, retry_of: string | null,
 *   retried_by: string | null, error_code: string | null, error_message: string | null, created_at: string,
 *   finished_at: string | null}} Bulk  a bulk message, as the API shows it
 */

/** Turns an answer of the API into a record like those of the feed. @param {Bulk} bulk @returns {Record} */
export function recordOf(bulk) {
  return {
    offset: 0,
    topic: `job:${bulk.job_id}`,
    attempt: bulk.attempt,
    status: bulk.status,
    data: { job_type: "bulk_message", ...bulk.totals },
    error: bulk.error_code ? { code: bulk.error_code, message: bulk.error_message ?? "" } : null,
    published_at: Date.parse(bulk.finished_at ?? bulk.created_at) / 1000,
  };
}

/** The counts in a record, if it has any. @param {Record} record @returns {Totals | null} */
export function totalsOf({ data }) {
  const counts = data?.result ?? data;
  return counts?.total === undefined ? null : { sent: counts.sent, failed: counts.failed, total: counts.total };
}

/** @param {Totals} totals */
export function totalsInWords(totals) {
  return t(totals.failed ? "messages_counts_failed" : "messages_counts", { ...totals });
}

/** @param {Bulk} bulk */
export function recipientsOf({ lecture, lecture_title, totals, to }) {
  const whose = t(`messages_to_${to}`);
  if (lecture === null) return t("messages_of_students", { n: totals.total, to: whose });
  return t("messages_of_lecture", { title: lecture_title ?? t("messages_deleted_lecture"), to: whose });
}

/** At most 40 letters of the first line of a text. @param {string} text */
export function headOf(text) {
  const letters = [...text.trim().split("\n")[0]];
  return letters.length > 40 ? `${letters.slice(0, 40).join("")}…` : letters.join("");
}

/** The cell of a list that shows the progress of a bulk message. It is updated alone, without the rest of the row. */
export class Outcome {
  #chip = element("span", { class: "chip" });
  #counts = element("span", { class: "meta" });
  #fill = element("div", { class: "fill" });
  #bar = element("div", { class: "bar", "aria-hidden": "true" }, this.#fill); // the counts say the same
  #record;
  #totals;

  node = element("div", { class: "outcome" }, this.#chip, this.#counts, this.#bar);

  /** @param {Bulk} bulk */
  constructor(bulk) {
    this.#record = recordOf(bulk);
    this.#totals = bulk.totals;
    this.render();
  }

  /** @param {Record} record */
  update(record) {
    if (record.status === "UNKNOWN" || record.attempt < this.#record.attempt) return;
    this.#record = record;
    this.#totals = totalsOf(record) ?? this.#totals;
    this.render();
  }

  render() {
    const { sent, failed, total } = this.#totals;
    const ended = isTerminal(this.#record);
    this.node.dataset.status = stateOf(this.#record);
    this.#chip.textContent = stateName(this.#record);
    this.#counts.textContent = totalsInWords(this.#totals);
    this.#bar.hidden = ended;
    this.#fill.style.transform = `translateX(${total ? (100 * (sent + failed)) / total - 100 : -100}%)`;
  }
}
