// The live jobs of the academy: one feed, what the API adds to it, and the parts of the page that show them.

import { connect, isTerminal } from "../../realtime/client.js";
import * as api from "../api.js";
import { Details, readNewest, readOne } from "./details.js";
import { Register } from "./register.js";

/**
 * @typedef {import("../../realtime/client.js").Record} Record
 * @typedef {import("./details.js").Answer} Answer
 * @typedef {{now: import("../now/now.js").Now, jobPage: import("./page.js").JobPage,
 *   lists: {[kind: string]: import("../cards.js").Cards}, speaker: import("../frame/speaker.js").Speaker,
 *   bell: import("../frame/bell.js").Bell}} Parts
 */


export class Live {
  #register = new Register();
  #details = new Details((answer) => this.learnAnswers([answer]), (topic) => Boolean(this.#register.get(topic)?.detail));
  /** @type {import("../../realtime/client.js").Feed | null} */
  #feed = null;
  #parts;
  #onState;

  /** @param {Parts} parts @param {(status: import("../../realtime/client.js").Status) => void} onState */
  constructor(parts, onState) {
    this.#parts = parts;
    this.#onState = onState;
  }

  /** Connects for whoever is signed in. Students and parents may watch only what they name.
   *  @param {string[]} [topics] without them, everything */
  open(topics) {
    this.#feed?.close();
    const ticket = () => api.callJson("/api/v1/realtime/ticket/", { json: topics ? { topics } : {} });
    const feed = connect({ ticket, resolve: async (topic) => (await readOne(topic))?.record ?? null });
    this.#feed = feed;
    feed.on("state", this.#onState);
    if (topics) return;
    feed.watch("*", (record) => this.#take(record));
    feed.on("forget", (/** @type {string[]} */ topics) => topics.forEach((topic) => this.#forget(topic)));
    for (const newest of readNewest()) {
      // A convenience: the feed brings what runs and what has just ended.
      newest.then((answers) => feed === this.#feed && this.learnAnswers(answers)).catch(() => undefined);
    }
  }

  /** Ends the connection, and forgets all jobs. */
  close() {
    this.#feed?.close();
    this.#feed = null;
    const { now, jobPage, lists, speaker, bell } = this.#parts;
    for (const part of [...Object.values(lists), this.#register, this.#details, now, speaker, bell]) part.clear();
    jobPage.close();
  }

  /** Whether what the feed brings is news. False until it has brought what was there before. */
  get isLive() {
    return ["live", "polling"].includes(this.#feed?.state ?? "");
  }

  reconnect() {
    this.#feed?.reconnect();
  }

  /** Takes the records of what was uploaded here. @param {Record[]} records */
  learn(records) {
    this.#feed?.learn(records);
  }

  /** Calls `listener` with the records of a topic, or of a pattern such as `job:*`. The returned function ends this.
   *  @param {string} pattern @param {(record: Record) => void} listener @returns {() => void} */
  watch(pattern, listener) {
    return this.#feed?.watch(pattern, listener) ?? (() => undefined);
  }

  /** Shows a job on its own page. @param {string} topic */
  show(topic) {
    this.#parts.jobPage.open(topic, this.#register.get(topic));
    // No API knows other kinds, so the feed asks for them by their names.
    if (!/^(job|video):/.test(topic)) this.#feed?.watch(topic, () => undefined);
  }

  /** Takes what the API says of jobs. @param {Answer[]} answers */
  learnAnswers(answers) {
    this.learn(answers.map(({ record }) => record));
    for (const { topic, detail } of answers) {
      this.#listFor(topic)?.began(topic, detail.listed ?? detail.began);
      const work = this.#register.learn(topic, detail);
      if (!work) continue;
      this.#parts.now.show(work);
      this.#parts.jobPage.update(work);
    }
  }

  /** Shows a record of the feed. @param {Record} next */
  #take(next) {
    if (next.topic.startsWith("lecture:")) return; // tells that its videos have changed: no job
    const { now, jobPage, speaker, bell } = this.#parts;
    this.#listFor(next.topic)?.show(next);
    const { before, work } = this.#register.take(next);
    now.show(work);
    jobPage.update(work);
    if (next.status === "UNKNOWN") return this.#register.remove(next.topic);
    speaker.note(before, work.record);
    bell.note(work);
    // Why a job ended decides whether a retry can help, which only the API knows.
    const ended = before !== null && isTerminal(work.record) && !isTerminal(before);
    if (!work.detail || (ended && work.record.status !== "DONE")) this.#details.want(next.topic, ended);
  }

  /** Drops a job that the feed no longer keeps, because very many have ended after it. Its own page stays as it is.
   *  @param {string} topic */
  #forget(topic) {
    this.#register.remove(topic);
    this.#parts.now.remove(topic);
    this.#listFor(topic)?.remove(topic);
  }

  /** @param {string} topic */
  #listFor(topic) {
    return this.#parts.lists[topic.split(":")[0]];
  }
}
