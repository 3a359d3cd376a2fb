// All jobs that this tab knows: the newest record of each, what the API adds to it, and what the tab has seen happen.

import { isTerminal } from "../../realtime/client.js";

const MOST_EVENTS = 60;

/**
 * @typedef {import("../../realtime/client.js").Record} Record
 * @typedef {{by: string | null, began: number, listed?: number, sent: number | null, ended: number | null, retryCanHelp: boolean}} Detail
 *   What the API says of a job: who started it, and Unix seconds. `listed` is its place in lists, if that is not when it began.
 * @typedef {{at: number, what: "attempt" | "step" | "stalled" | "resumed" | "ended", word: string}} Event
 * @typedef {{topic: string, record: Record, began: number, detail: Detail | null, events: Event[]}} Work
 */

export class Register {
  /** @type {Map<string, Work>} */
  #works = new Map();
  /** Details that came before the record. @type {Map<string, Detail>} */
  #early = new Map();

  /** Takes a record, and returns its job as it was before, and as it is now. @param {Record} next
   *  @returns {{before: Record | null, work: Work}} */
  take(next) {
    const { topic } = next;
    const old = this.#works.get(topic);
    const record = old ? { ...next, data: named(old.record, next) } : next;
    const known = old?.detail ?? this.#early.get(topic) ?? null;
    const detail = known && old && record.attempt > old.record.attempt && !isRenamed(old.record, record) ? { ...known, ended: null, retryCanHelp: false } : known;
    const began = detail?.began ?? old?.began ?? record.published_at ?? Date.now() / 1000;
    const events = [...(old?.events ?? []), ...eventsBetween(old?.record ?? null, record)].slice(-MOST_EVENTS);
    const work = { topic, record, began, detail, events };
    this.#works.set(topic, work);
    this.#early.delete(topic);
    return { before: old?.record ?? null, work };
  }

  /** @param {string} topic @param {Detail} detail */
  learn(topic, detail) {
    const work = this.#works.get(topic);
    if (work) Object.assign(work, { detail, began: detail.began });
    else this.#early.set(topic, detail);
    return work;
  }

  /** @param {string} topic */
  get(topic) {
    return this.#works.get(topic);
  }

  get all() {
    return [...this.#works.values()];
  }

  /** @param {string} topic */
  remove(topic) {
    this.#works.delete(topic);
    this.#early.delete(topic);
  }

  clear() {
    this.#works.clear();
    this.#early.clear();
  }
}

/** The data of the new record, with the name of the job, which not every record has. @param {Record} old @param {Record} next */
function named(old, next) {
  const { job_type, file_name, title } = old.data ?? {};
  return JSON.parse(JSON.stringify({ job_type, file_name, title, ...next.data }));
}

/** Whether a record differs from an earlier one by its title only: that is an attempt of its own, in which nothing was done.
 *  @param {Record} before @param {Record} record */
function isRenamed(before, record) {
  return isTerminal(before) && before.status === record.status && before.data?.title !== record.data?.title;
}

/** What has happened from one record to the next. @param {Record | null} before @param {Record} record @returns {Event[]} */
function eventsBetween(before, record) {
  if (before && isRenamed(before, record)) return [];
  const at = record.published_at ?? Date.now() / 1000;
  const step = record.progress?.step?.name ?? "";
  /** @type {Event[]} */
  const events = [];
  const again = record.attempt > (before?.attempt ?? 1);
  const begins = record.status === "PROCESSING" && (!before || before.status === "PENDING");
  if (again || begins) events.push({ at, what: "attempt", word: `${record.attempt}` });
  if (step && step !== before?.progress?.step?.name) events.push({ at, what: "step", word: step });
  if (record.stalled && !before?.stalled) events.push({ at, what: "stalled", word: "" });
  if (before?.stalled && !record.stalled && !again && !isTerminal(record)) events.push({ at, what: "resumed", word: "" });
  if (isTerminal(record) && (!before || !isTerminal(before) || again)) events.push({ at, what: "ended", word: record.status });
  return events;
}
