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
  /** @type {string[]} the topics of the open question: one at a time, because a connection may watch 200 topics */
  #asked = [];
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
    const waiting = new Set([...this.#asked, ...this.#queue, ...this.#resolving]);
    this.#queue.push(...wanted.filter((topic) => !waiting.has(topic)));
    this.#next();
  }

  #next() {
    if (this.#asked.length > 0 || this.#queue.length === 0) return;
    const topics = (this.#asked = this.#queue.splice(0, ASK_AT_ONCE));
    const id = ++this.#id;
    const send = this.#asker.send();
    if (send) send({ type: "subscribe", id, topics });
    else this.#poll(id, topics);
  }

  /** @param {number} id @param {string[]} topics */
  async #poll(id, topics) {
    const answer = await this.#asker.ticket().then((granted) => askByName(granted, topics)).catch(() => null);
    this.answered({ ...answer, id });
  }

  /** Takes the answer to a question. Without records it was refused.
   *  @param {{id?: number | null, place?: string, records?: Record[]}} frame */
  answered({ id, place = "", records }) {
    if (id !== this.#id) return;
    const answers = new Map(records?.map((record) => [record.topic, record]));
    const topics = this.#asked.splice(0);
    for (const topic of topics) {
      const answer = answers.get(topic);
      if (!answer || answer.status === "UNKNOWN") this.#resolve(topic);
      else this.#asker.onAnswer(topic, answer, epochOf(place));
    }
    // `*` brings what follows. Return to `*` alone, because a place belongs to the topics of its connection.
    if (records && topics.length > 0) this.#asker.send()?.({ type: "unsubscribe", id, topics });
    this.#next();
  }

  /** Forgets the questions of a link that has ended: no answers will come. */
  clear() {
    this.#asked = [];
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
