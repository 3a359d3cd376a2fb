// Asks for topics by name: over the link if the client can send on it, else by the one poll. A topic that no feed knows is
// asked for at the detail endpoint.

import { epochOf } from "./fold.js";
import { fetchSnapshot } from "./links.js";
import { backoff } from "./waits.js";

const ASK_AT_ONCE = 100; // topics in one frame: below its 8 KiB, and half of what a connection may name
const PAUSE_MS = 250; // between two questions: each takes two frames, and the server allows 10 frames a second
const RESOLVE_AT_ONCE = 4; // requests to the detail endpoint
const RESOLVE_MS = 30_000; // after this time a request is given up and made again later, so that others get their turn

/**
 * @typedef {import("./fold.js").Record} Record
 * @typedef {{send: () => import("./links.js").Link["send"], ticket: () => Promise<import("./links.js").Granted>,
 *   resolve: (topic: string) => Promise<Record | null>,
 *   onAnswer: (topic: string, record: Record | null, epoch: string | null) => void, ended: () => boolean}} Asker
 */

export class Questions {
  /** @type {Set<string>} the topics of the open question and of the next ones, in this order */
  #queue = new Set();
  /** @type {string[]} the topics of the open question: one at a time, because a connection may watch 200 topics */
  #asked = [];
  /** Whether the last question was a moment ago. */
  #paused = false;
  /** @type {Set<string>} topics that the detail endpoint has not answered yet */
  #unresolved = new Set();
  /** @type {Map<string, number>} unresolved topics that wait for their turn, each with how often it was tried so far */
  #waiting = new Map();
  /** The number of requests to the detail endpoint. */
  #requests = 0;
  #id = 0;
  #asker;

  /** @param {Asker} asker */
  constructor(asker) {
    this.#asker = asker;
  }

  /** Asks for these topics, except those that are being asked for. @param {string[]} wanted */
  ask(wanted) {
    for (const topic of wanted) if (!this.#unresolved.has(topic)) this.#queue.add(topic);
    this.#next();
  }

  #next() {
    if (this.#paused || this.#asked.length > 0 || this.#queue.size === 0) return;
    this.#paused = true;
    setTimeout(() => {
      this.#paused = false;
      this.#next();
    }, PAUSE_MS);
    const topics = (this.#asked = [...this.#queue].slice(0, ASK_AT_ONCE));
    const id = ++this.#id;
    const send = this.#asker.send();
    if (send) send({ type: "subscribe", id, topics });
    else this.#poll(id, topics);
  }

  /** @param {number} id @param {string[]} topics */
  async #poll(id, topics) {
    const query = { topics: topics.join(",") };
    const answer = await this.#asker.ticket().then((granted) => fetchSnapshot(granted, query)).catch(() => null);
    this.answered({ ...answer?.frame, id });
  }

  /** Takes the answer to a question. Without records it was refused.
   *  @param {{id?: number | null, place?: string, records?: Record[]}} frame */
  answered({ id, place = "", records }) {
    if (id !== this.#id) return;
    const topics = this.#asked;
    for (const topic of topics) {
      this.#queue.delete(topic);
      const answer = records?.find((record) => record.topic === topic && record.status !== "UNKNOWN");
      if (answer) this.#asker.onAnswer(topic, answer, epochOf(place));
      else this.#resolve(topic, 0);
    }
    // Return to the topics of the connection, because a place belongs to them. They bring what follows.
    if (records && topics.length > 0) this.#asker.send()?.({ type: "unsubscribe", id, topics });
    this.#asked = []; // only now, so that a listener that asks for something does not begin the next question
    this.#next();
  }

  /** Forgets the questions of a link that has ended: no answers will come. */
  clear() {
    this.#asked = [];
    this.#queue.clear();
  }

  /** Asks the detail endpoint once, and again only if it could not answer. @param {string} topic @param {number} tries */
  #resolve(topic, tries) {
    this.#unresolved.add(topic);
    this.#waiting.set(topic, tries);
    this.#resolveNext();
  }

  #resolveNext() {
    for (const [topic, tries] of this.#waiting) {
      if (this.#requests === RESOLVE_AT_ONCE || this.#asker.ended()) return;
      this.#waiting.delete(topic);
      this.#requests++;
      const late = new Promise((_, reject) => setTimeout(reject, RESOLVE_MS));
      Promise.race([this.#asker.resolve(topic), late]).then((record) => {
        this.#unresolved.delete(topic);
        this.#asker.onAnswer(topic, record, null);
      }, () => setTimeout(() => this.#resolve(topic, tries + 1), backoff(tries))).finally(() => {
        this.#requests--;
        this.#resolveNext();
      });
    }
  }
}
