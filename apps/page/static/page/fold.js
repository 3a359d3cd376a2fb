// The fold: from frames to the records that count now (docs/reference/realtime-protocol.md). Pure: no clock, no network.

/**
 * @typedef {{percent?: number | null, remaining_seconds?: number | null,
 *   step?: {index: number, total: number, name: string, percent?: number | null} | null}} Progress
 * @typedef {{offset: number, topic: string, attempt: number, status: string, progress?: Progress | null,
 *   data?: any, error?: {code: string, message: string} | null, stalled?: boolean, published_at?: number}} Record
 *   Without `progress` it was told by the database, which does not know it; null: there is none.
 * @typedef {{record: Record, epoch: string | null}} Entry  An epoch of null: told by the database, not by a feed.
 */

/** @type {{[status: string]: number}} */
const RANK = { PENDING: 0, PROCESSING: 1, READY: 2, DONE: 2, FAILED: 2, CANCELLED: 2 };

/** A status this page does not know (`UNKNOWN`, or one of a later server) is no record. @param {Record} record */
function isRecord(record) {
  return Object.hasOwn(RANK, record.status);
}

/** @param {Record} record */
export function isTerminal(record) {
  return RANK[record.status] === 2;
}

/** The epoch in a place, `epoch.offset.filter`. @param {string} place */
export function epochOf(place) {
  return place.split(".").slice(0, -2).join(".");
}

/** Above 0 when `a` stands above `b` by attempt, then by rank. @param {Record} a @param {Record} b */
function compare(a, b) {
  return a.attempt - b.attempt || RANK[a.status] - RANK[b.status];
}

/** Does `next` take the place of `held`? @param {Entry} held @param {Entry} next */
function supersedes(held, next) {
  const order = compare(next.record, held.record);
  if (order) return order > 0;
  // The later one: by offset where offsets compare; otherwise what a feed says now beats what stood before,
  // and an answer of the database, which has no progress, never beats a feed.
  if (next.epoch === held.epoch) return next.record.offset >= held.record.offset;
  return next.epoch !== null;
}

export class Fold {
  /** @type {Map<string, Entry>} */
  #held = new Map();
  /** Topics that no feed has confirmed: to be asked for by name. @type {Map<string, Entry>} */
  #doubtful = new Map();
  #begun = false;

  /** @returns {Map<string, Record>} */
  get records() {
    return new Map([...this.#held].map(([topic, entry]) => [topic, entry.record]));
  }

  /** Whether anything that is known has not ended. */
  get unfinished() {
    return [...this.#held.values()].some(({ record }) => !isTerminal(record));
  }

  /** @returns {string[]} */
  get doubtful() {
    return [...this.#doubtful.keys()];
  }

  /** Records of a feed. Returns those that changed something. @param {Record[]} records @param {string} epoch */
  apply(records, epoch) {
    return records.filter((record) => this.#put(record, epoch));
  }

  /** A whole snapshot with `recovered: false`. @param {Record[]} records @param {string} epoch */
  replace(records, epoch) {
    const changed = this.apply(records, epoch);
    const present = new Set(records.filter(isRecord).map((record) => record.topic));
    for (const [topic, entry] of this.#held) {
      // Even a terminal one: a later attempt may have ended meanwhile, and be shown no more. What the database told
      // before the first snapshot is as new as that.
      if (!present.has(topic) && (this.#begun || !isTerminal(entry.record))) this.#doubtful.set(topic, entry);
    }
    this.#begun = true;
    return changed;
  }

  /** Records that the database told (offset 0). Unfinished ones stay doubtful until a feed speaks of them.
   *  @param {Record[]} records */
  learn(records) {
    const changed = records.filter((record) => this.#put(record, null));
    for (const { topic } of changed) {
      const entry = /** @type {Entry} */ (this.#held.get(topic));
      if (!isTerminal(entry.record)) this.#doubtful.set(topic, entry);
    }
    return changed;
  }

  /**
   * The answer to a question by name; null: nobody knows the topic. Returns what stands now, `UNKNOWN` when it was
   * dropped, or null when the answer changes nothing.
   * @param {string} topic @param {Record | null} answer @param {string | null} epoch @returns {Record | null}
   */
  settle(topic, answer, epoch) {
    const entry = this.#doubtful.get(topic);
    this.#doubtful.delete(topic);
    const unfinished = entry && !isTerminal(entry.record);
    // Unfinished, and in no snapshot: the answer is the truth, even where it stands lower or is that there is none.
    // What has ended stays so, until a later attempt.
    if (unfinished && (!answer || compare(answer, entry.record) < 0)) this.#held.delete(topic);
    if (answer) return this.#put(answer, epoch) ? answer : null;
    return unfinished ? { offset: 0, topic, attempt: entry.record.attempt, status: "UNKNOWN" } : null;
  }

  /** @param {Record} record @param {string | null} epoch */
  #put(record, epoch) {
    if (!isRecord(record)) return false;
    const next = { record, epoch };
    const held = this.#held.get(record.topic);
    if (held && !supersedes(held, next)) return false;
    this.#held.set(record.topic, next);
    this.#doubtful.delete(record.topic);
    return true;
  }
}
