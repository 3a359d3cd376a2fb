// The list of imports: which cards stand, in which order, and what is said aloud about them.

import { Card, reasonOf } from "./card.js";
import { isTerminal } from "./fold.js";
import { t } from "./strings.js";

const AT_FIRST = 10;
const A_PAGE = 20;

/**
 * @typedef {import("./fold.js").Record} Record
 * @typedef {{job_id: string, job_type: string, status: string, attempt: number, created_at: string,
 *   finished_at: string | null, file_name: string | null, result: object | null, error_code: string | null,
 *   error_message: string | null}} Job
 */

/** What the jobs endpoints tell, as a record: the shape that the feed has, but for `progress`, which the database does
 *  not know. @param {Job} job @returns {Record} */
export function recordOf(job) {
  return {
    offset: 0,
    topic: `job:${job.job_id}`,
    attempt: job.attempt,
    status: job.status,
    data: { job_type: job.job_type, file_name: job.file_name, ...(job.result && { result: job.result }) },
    error: job.status === "FAILED" ? { code: job.error_code ?? "internal", message: job.error_message ?? "" } : null,
    published_at: Date.parse(job.finished_at ?? job.created_at) / 1000,
  };
}

export class Jobs {
  /** @type {Map<string, Card>} */
  #cards = new Map();
  /** When each import began, as far as this page knows: its place in the list. @type {Map<string, number>} */
  #began = new Map();
  #shown = AT_FIRST;
  #place;
  #readRows;
  /** Sentences are for what happens, not for what was there when the page came. */
  speaking = false;

  /** @param {{list: HTMLElement, none: HTMLElement, more: HTMLButtonElement, spoken: HTMLElement}} place
   *  @param {import("./card.js").ReadRows} readRows */
  constructor(place, readRows) {
    this.#place = place;
    this.#readRows = readRows;
    place.more.onclick = () => {
      this.#shown += A_PAGE;
      this.#arrange();
    };
  }

  /** @param {Record} record */
  show(record) {
    const { topic, status } = record;
    const card = this.#cards.get(topic);
    if (status === "UNKNOWN") {
      this.#cards.delete(topic);
      this.#arrange();
    } else if (card) {
      const before = card.record;
      card.update(record);
      this.#speak(card.name, before, record);
    } else if (topic.startsWith("job:") && record.data?.job_type === "excel_parsing") {
      const added = new Card(record, this.#readRows);
      this.#cards.set(topic, added);
      if (!this.#began.has(topic)) this.#began.set(topic, record.published_at ?? Date.now() / 1000);
      this.#speak(added.name, null, record);
      this.#arrange();
    }
  }

  /** @param {string} topic @param {number} seconds since 1970 */
  began(topic, seconds) {
    this.#began.set(topic, seconds);
    this.#arrange();
  }

  render() {
    for (const card of this.#cards.values()) card.render();
  }

  clear() {
    this.#cards.clear();
    this.#began.clear();
    this.#shown = AT_FIRST;
    this.speaking = false;
    this.#arrange();
  }

  /** Newest first. A card moves only if it has to: moving it would take the focus from what is inside. */
  #arrange() {
    const { list, none, more } = this.#place;
    const topics = [...this.#cards.keys()].sort((a, b) => (this.#began.get(b) ?? 0) - (this.#began.get(a) ?? 0));
    const nodes = topics.slice(0, this.#shown).map((topic) => /** @type {Card} */ (this.#cards.get(topic)).node);
    for (const node of [...list.children]) if (!nodes.includes(/** @type {HTMLElement} */ (node))) node.remove();
    nodes.forEach((node, index) => {
      if (list.children[index] !== node) list.insertBefore(node, list.children[index] ?? null);
    });
    none.hidden = topics.length > 0;
    more.hidden = topics.length <= this.#shown;
  }

  /** @param {string} name @param {Record | null} before @param {Record} record */
  #speak(name, before, record) {
    if (!this.speaking) return;
    let said = "";
    if (!before && !isTerminal(record)) said = t("said_started", { name });
    else if (before && record.stalled && !before.stalled) said = t("said_stalled", { name });
    else if (before && isTerminal(record) && !isTerminal(before)) said = ending(record, name);
    if (said) this.#place.spoken.textContent = said;
  }
}

/** @param {Record} record @param {string} name */
function ending(record, name) {
  if (record.status === "DONE") return t("said_done", { name, ...record.data?.result });
  return record.status === "FAILED" ? t("said_failed", { name, reason: reasonOf(record) }) : t("said_cancelled", { name });
}
