// Asking for topics by name: over the link where it goes both ways, else by the one poll; and what no feed knows, of the
// detail endpoint.

import { epochOf } from "./fold.js";
import { askByName } from "./links.js";
import { backoff } from "./waits.js";

const ASK_AT_ONCE = 100; // topics in one frame: below its 8 KiB, and half of what a connection may name

/**
 * @typedef {import("./fold.js").Record} Record
 * @typedef {{fold: import("./fold.js").Fold, send: () => ((frame: object) => void) | null,
 *   ticket: () => Promise<import("./links.js").Granted>, resolve: (topic: string) => Promise<Record | null>,
 *   tell: (records: (Record | null)[]) => void, ended: () => boolean}} Feed
 */

export class Questions {
  /** @type {Map<number, string[]>} questions that wait for their answer */
  #asked = new Map();
  /** @type {Set<string>} topics that the detail endpoint is being asked for */
  #resolving = new Set();
  #id = 0;
  #feed;

  /** @param {Feed} feed */
  constructor(feed) {
    this.#feed = feed;
  }

  /** Asks for what no feed has confirmed. */
  ask() {
    const waiting = new Set([...this.#asked.values()].flat().concat(...this.#resolving));
    const topics = this.#feed.fold.doubtful.filter((topic) => !waiting.has(topic));
    while (topics.length > 0) {
      const batch = topics.splice(0, ASK_AT_ONCE);
      this.#asked.set(++this.#id, batch);
      const send = this.#feed.send();
      if (send) send({ type: "subscribe", id: this.#id, topics: batch });
      else this.#poll(this.#id, batch);
    }
  }

  /** @param {number} id @param {string[]} topics */
  async #poll(id, topics) {
    try {
      const answer = await askByName(await this.#feed.ticket(), topics);
      if (this.#asked.has(id)) this.answered({ ...answer, id });
    } catch {
      if (this.#asked.has(id)) this.refused({ id });
    }
  }

  /** @param {{id: number, place: string, records: Record[]}} frame */
  answered(frame) {
    const answers = new Map(frame.records.map((record) => [record.topic, record]));
    const topics = this.#asked.get(frame.id) ?? [];
    for (const topic of topics) {
      const answer = answers.get(topic);
      if (!answer || answer.status === "UNKNOWN") this.#resolve(topic);
      else this.#feed.tell([this.#feed.fold.settle(topic, answer, epochOf(frame.place))]);
    }
    this.#asked.delete(frame.id);
    // `*` brings what follows; back to it alone, as its place is the one to come back with.
    if (topics.length > 0) this.#feed.send()?.({ type: "unsubscribe", id: ++this.#id, topics });
  }

  /** @param {{id?: number | null}} frame */
  refused(frame) {
    const topics = this.#asked.get(frame.id ?? 0) ?? [];
    this.#asked.delete(frame.id ?? 0);
    for (const topic of topics) this.#resolve(topic);
  }

  /** The link has ended: its answers will not come. */
  clear() {
    this.#asked.clear();
  }

  /** The detail endpoint, once; again only where it could not answer. @param {string} topic @param {number} [tries] */
  async #resolve(topic, tries = 0) {
    this.#resolving.add(topic);
    try {
      const record = await this.#feed.resolve(topic);
      this.#resolving.delete(topic);
      this.#feed.tell([this.#feed.fold.settle(topic, record, null)]);
    } catch {
      if (!this.#feed.ended()) setTimeout(() => this.#resolve(topic, tries + 1), backoff(tries));
    }
  }
}
