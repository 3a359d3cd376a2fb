// Asks for topics by name: over the link if the client can send on it, else by the one poll. A topic that no feed knows is
// asked for at the detail endpoint.

import { epochOf } from "./fold.js";
import { askByName } from "./links.js";
import { backoff } from "./waits.js";

const ASK_AT_ONCE = 100; // topics in one frame: below its 8 KiB, and half of what a connection may name

/**
 * @typedef {import("./fold.js").Record} Record
 * @typedef {{send: () => import("./links.js").Link["send"], ticket: () => Promise<import("./links.js").Granted>,
 *   resolve: (topic: string) => Promise<Record | null>,
 *   onAnswer: (topic: string, record: Record | null, epoch: string | null) => void, ended: () => boolean}} Asker
 */

export class Questions {
  /** @type {Map<number, string[]>} the topics of each question that is not answered yet */
  #asked = new Map();
  /** @type {string[]} the topics of the next questions */
  #queue = [];
  /** @type {Set<string>} topics for which the detail endpoint is being asked */
  #resolving = new Set();
  #id = 0;
  #asker;

  /** @param {Asker} asker */
  constructor(asker) {
    this.#asker = asker;
  }

  /** Asks for these topics, except those that are being asked for. @param {string[]} wanted */
  ask(wanted) {
    const waiting = new Set([...[...this.#asked.values()].flat(), ...this.#queue, ...this.#resolving]);
    this.#queue.push(...wanted.filter((topic) => !waiting.has(topic)));
    this.#next();
  }

  /** Asks the next question, unless one is open: a connection may watch 200 topics at a time. */
  #next() {
    if (this.#asked.size > 0 || this.#queue.length === 0) return;
    const batch = this.#queue.splice(0, ASK_AT_ONCE);
    this.#asked.set(++this.#id, batch);
    const send = this.#asker.send();
    if (send) send({ type: "subscribe", id: this.#id, topics: batch });
    else this.#poll(this.#id, batch);
  }

  /** @param {number} id @param {string[]} topics */
  async #poll(id, topics) {
    try {
      const answer = await askByName(await this.#asker.ticket(), topics);
      if (this.#asked.has(id)) this.answered({ ...answer, id });
    } catch {
      if (this.#asked.has(id)) this.refused({ id });
    }
  }

  /** @param {{id: number, place: string, records: Record[]}} frame */
  answered(frame) {
    const answers = new Map(frame.records.map((record) => [record.topic, record]));
    const topics = this.#take(frame.id);
    for (const topic of topics) {
      const answer = answers.get(topic);
      if (!answer || answer.status === "UNKNOWN") this.#resolve(topic);
      else this.#asker.onAnswer(topic, answer, epochOf(frame.place));
    }
    // `*` brings what follows. Return to `*` alone, because a place belongs to the topics of its connection.
    if (topics.length > 0) this.#asker.send()?.({ type: "unsubscribe", id: ++this.#id, topics });
    this.#next();
  }

  /** @param {{id?: number | null}} frame */
  refused(frame) {
    for (const topic of this.#take(frame.id ?? 0)) this.#resolve(topic);
    this.#next();
  }

  /** The topics of a question, which is answered with this call. @param {number} id */
  #take(id) {
    const topics = this.#asked.get(id) ?? [];
    this.#asked.delete(id);
    return topics;
  }

  /** Forgets the questions of a link that has ended: no answers will come. */
  clear() {
    this.#asked.clear();
    this.#queue = [];
  }

  /** Asks the detail endpoint once, and again only if it could not answer. @param {string} topic @param {number} [tries] */
  async #resolve(topic, tries = 0) {
    this.#resolving.add(topic);
    try {
      const record = await this.#asker.resolve(topic);
      this.#resolving.delete(topic);
      this.#asker.onAnswer(topic, record, null);
    } catch {
      if (!this.#asker.ended()) setTimeout(() => this.#resolve(topic, tries + 1), backoff(tries));
    }
  }
}
