// The view "now": every running and recently ended job of every kind.

import { isTerminal } from "../../realtime/client.js";
import { at } from "../dom.js";
import { JobCard } from "../jobs/card.js";
import { say } from "../sentences.js";
import { t } from "../strings.js";
import { Filters } from "./filters.js";

const AT_FIRST = 20;
const A_PAGE = 30;

/** @typedef {import("../jobs/register.js").Work} Work */

export class Now {
  /** @type {Map<string, {card: JobCard, work: Work}>} */
  #entries = new Map();
  #shown = AT_FIRST;
  #list = at("now-list");
  #more = at("now-more", HTMLButtonElement);
  #filters;
  #due = false;

  /** @param {(query: string) => void} onFilter */
  constructor(onFilter) {
    this.#filters = new Filters((query) => {
      onFilter(query);
      this.#shown = AT_FIRST;
      this.#arrange();
    });
    this.#more.addEventListener("click", () => {
      this.#shown += A_PAGE;
      this.#arrange();
    });
  }

  /** Takes the filters from the address. @param {string} query */
  read(query) {
    this.#filters.read(query);
    this.#arrange();
  }

  /** @param {Work} work */
  show(work) {
    if (work.record.status === "UNKNOWN" || work.record.data?.deleted) return this.remove(work.topic);
    const entry = this.#entries.get(work.topic);
    if (entry) {
      entry.work = work;
      entry.card.update(work);
    } else {
      this.#entries.set(work.topic, { card: new JobCard(work), work });
      this.#filters.offer(work);
    }
    this.#arrangeSoon();
  }

  /** @param {string} topic */
  remove(topic) {
    if (this.#entries.delete(topic)) this.#arrangeSoon();
  }

  render() {
    this.#filters.render();
    for (const { card } of this.#entries.values()) card.render();
    this.#arrange();
  }

  clear() {
    this.#entries.clear();
    this.#shown = AT_FIRST;
    this.#arrange();
  }

  /** Arranges once for all records that come together. */
  #arrangeSoon() {
    if (this.#due) return;
    this.#due = true;
    queueMicrotask(() => this.#arrange());
  }

  /** Running jobs first, then the newest. */
  #arrange() {
    this.#due = false;
    const all = [...this.#entries.values()];
    const admitted = all.filter(({ work }) => this.#filters.admit(work)).sort(byOrder);
    this.#place(admitted.slice(0, this.#shown).map(({ card }) => card.node));
    const running = all.filter(({ work }) => !isTerminal(work.record)).length;
    say("now-counts", () => t("now_counts", { running, ended: all.length - running }));
    at("now-none").hidden = all.length > 0;
    at("now-no-match").hidden = all.length === 0 || admitted.length > 0;
    this.#more.hidden = admitted.length <= this.#shown;
  }

  /** A card moves only if it has to, and keeps the focus. @param {HTMLElement[]} nodes */
  #place(nodes) {
    const focused = /** @type {HTMLElement | null} */ (document.activeElement);
    const kept = new Set(/** @type {Element[]} */ (nodes));
    for (const node of [...this.#list.children]) if (!kept.has(node)) node.remove();
    nodes.forEach((node, index) => {
      if (this.#list.children[index] !== node) this.#list.insertBefore(node, this.#list.children[index] ?? null);
    });
    if (focused && focused !== document.activeElement && this.#list.contains(focused)) focused.focus({ preventScroll: true });
  }
}

/** @param {{work: Work}} a @param {{work: Work}} b */
function byOrder({ work: a }, { work: b }) {
  const ended = Number(isTerminal(a.record)) - Number(isTerminal(b.record));
  return ended || timeOf(b) - timeOf(a) || a.topic.localeCompare(b.topic);
}

/** When a job ended, or began if it runs. @param {Work} work */
function timeOf({ record, detail, began }) {
  return isTerminal(record) ? detail?.ended ?? record.published_at ?? began : began;
}
