// The list of bulk messages, which shows the progress of each of them live.

import { cell, element } from "../dom.js";
import { PagedTable } from "../parts/paged-table.js";
import { t, when } from "../strings.js";
import { headOf, Outcome, recipientsOf } from "./outcome.js";

const GATHER_MS = 500;

/** @typedef {import("./outcome.js").Bulk} Bulk
 *  @typedef {import("../../realtime/client.js").Record} Record */

export class MessageList {
  node = element("div");
  /** The newest record of each bulk message, by its topic. @type {Map<string, Record>} */
  #records = new Map();
  /** Topics that are in the list, or for which it need not be read again. @type {Set<string>} */
  #known = new Set();
  /** @type {Map<string, Outcome>} */
  #outcomes = new Map();
  #loaded = false;
  #timer = 0;
  #title = element("h1", { id: "messages-title", tabindex: "-1" });
  #lead = element("p", { class: "lead" });
  #write = element("a", { href: "/messages/new", class: "button main" });
  #table;
  #stop;

  /** @param {import("../frame/screens.js").Context} context @param {boolean} office whether the user may send messages */
  constructor(context, office) {
    this.#write.hidden = !office;
    this.#table = new PagedTable({
      path: "/api/v1/messages/",
      label: "messages_list",
      none: "messages_none",
      id: "job_id",
      columns: [
        { head: "messages_text", cell: (row) => cell("a", headOf(row.text), { href: `/messages/${row.job_id}` }) },
        { head: "messages_to", cell: (row) => recipientsOf(/** @type {any} */ (row)) },
        { head: "messages_outcome", cell: (row) => this.#outcomeOf(/** @type {any} */ (row)).node },
        { head: "messages_when", cell: (row) => sentAt(/** @type {any} */ (row)) },
      ],
      nameOf: (row) => headOf(row.text),
      onQuery: context.setQuery,
      onAnswer: () => this.#take(),
      failed: context.failed,
    });
    this.node.append(this.#title, this.#lead, this.#write, this.#table.node);
    this.office = office;
    this.#stop = context.live.watch("job:*", (record) => this.#note(record));
    this.render();
  }

  get title() {
    return t("messages_title");
  }

  /** @param {string} query of the address */
  open(query) {
    this.#table.open(query);
  }

  close() {
    this.#stop();
    clearTimeout(this.#timer);
  }

  render() {
    this.#title.textContent = this.title;
    this.#lead.textContent = t(this.office ? "messages_lead" : "messages_read_only");
    this.#write.textContent = t("messages_write");
    for (const outcome of this.#outcomes.values()) outcome.render();
    this.#table.render();
  }

  /** @param {Bulk} row */
  #outcomeOf(row) {
    const outcome = this.#outcomes.get(row.job_id) ?? new Outcome(row);
    this.#outcomes.set(row.job_id, outcome);
    return outcome;
  }

  /** Shows a page of the list, with the records that the feed has brought meanwhile. */
  #take() {
    this.#loaded = true;
    this.#outcomes.clear();
    for (const { job_id } of this.#table.rows) this.#known.add(`job:${job_id}`);
    for (const row of /** @type {any[]} */ (this.#table.rows)) {
      const record = this.#records.get(`job:${row.job_id}`);
      if (record) this.#outcomeOf(row).update(record);
    }
    for (const record of this.#records.values()) this.#lookFor(record);
  }

  /** @param {Record} record */
  #note(record) {
    if (record.data?.job_type !== "bulk_message") return;
    this.#records.set(record.topic, record);
    this.#outcomes.get(record.topic.slice("job:".length))?.update(record);
    if (this.#loaded) this.#lookFor(record);
  }

  /** Reads the list again if a bulk message is newer than all rows, but only once for each bulk message.
   *  @param {Record} record */
  #lookFor({ topic, published_at }) {
    if (this.#known.has(topic) || this.#table.filterOf("page")) return;
    this.#known.add(topic);
    const newest = Date.parse(this.#table.rows[0]?.created_at ?? 0) / 1000;
    if ((published_at ?? 0) <= newest) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#table.reload(), GATHER_MS);
  }
}

/** @param {Bulk} row */
function sentAt({ created_at, created_by }) {
  const time = when(Date.parse(created_at) / 1000);
  return created_by ? t("messages_by", { time, name: created_by }) : time;
}
