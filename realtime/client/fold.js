// The fold: which records are the newest, after all frames so far (docs/reference/realtime-protocol.md, "The fold").
// Pure: no clock, no network.

/**
 * @typedef {{percent?: number | null, remaining_seconds?: number | null,
 *   step?: {index: number, total: number, name: string, percent?: number | null} | null}} Progress
 * @typedef {{offset: number, topic: string, attempt: number, status: string, progress?: Progress | null,
 *   data?: any, error?: {code: string, message: string} | null, stalled?: boolean, published_at?: number}} Record
 *   Without `progress`, the record comes from the database, which does not store it. null: there is no progress.
 * @typedef {{record: Record, epoch: string | null}} Entry  An epoch of null: from the database, not from a feed.
 */

const ENDED = 1000; // how many ended records are kept at most, so that a page may stay open for weeks

/** @type {{[status: string]: number}} */
const RANK = { PENDING: 0, PROCESSING: 1, READY: 2, DONE: 2, FAILED: 2, CANCELLED: 2 };

/** Whether the status is one that this client knows. `UNKNOWN`, or a status of a later server, is not.
 *  @param {Record} record */
function isRecord(record) {
  return RANK[record.status] >= 0;
}

/** Whether the job has ended, so that nothing follows except a later attempt. @param {Record} record */
export function isTerminal(record) {
  return RANK[record.status] === 2;
}

/** The epoch in a place, `epoch.offset.filter`. @param {string} place */
export function epochOf(place) {
  return place.split(".").slice(0, -2).join(".");
}

/** Above 0 if `a` is newer than `b` by attempt, then by rank. @param {Record} a @param {Record} b */
function compare(a, b) {
  return a.attempt - b.attempt || RANK[a.status] - RANK[b.status];
}

/** Whether `next` replaces `kept`. @param {Entry} kept @param {Entry} next */
function supersedes(kept, next) {
  const order = compare(next.record, kept.record);
  if (order) return order > 0;
  // Attempt and rank are equal. In one epoch, the higher offset is newer. Otherwise a record of a feed is newer than
  // what was known before, and a record of the database, which has no progress, is never newer than one of a feed.
  if (next.epoch === kept.epoch) return next.epoch === null || next.record.offset > kept.record.offset;
  return next.epoch !== null;
}

export class Fold {
  /** @type {Map<string, Entry>} */
  #kept = new Map();
  /** Topics to ask for by name, because no feed has confirmed them. null: a topic of which nothing is known yet.
   *  @type {Map<string, Entry | null>} */
  #doubtful = new Map();
  /** @type {Set<string>} the topics that have ended, the newest end last */
  #ended = new Set();
  #begun = false;

  /** The newest record of each topic. @returns {Map<string, Record>} */
  get records() {
    return new Map([...this.#kept].map(([topic, entry]) => [topic, entry.record]));
  }

  /** Whether any record has not ended. */
  get unfinished() {
    return [...this.#kept.values()].some(({ record }) => !isTerminal(record));
  }

  /** @returns {string[]} */
  get doubtful() {
    return [...this.#doubtful.keys()];
  }

  /** The records of one epoch: what a new client of this feed would be shown. @param {string} epoch */
  recordsOf(epoch) {
    return [...this.#kept.values()].filter((entry) => entry.epoch === epoch).map(({ record }) => record);
  }

  /** Takes records of a feed, or of the database (an epoch of null). Returns those that changed something.
   *  @param {Record[]} records @param {string | null} epoch */
  apply(records, epoch) {
    return records.filter((record) => this.#put(record, epoch));
  }

  /** Takes a whole snapshot (`recovered: false`). Returns the records that changed something.
   *  @param {Record[]} records @param {string} epoch */
  replace(records, epoch) {
    const changed = this.apply(records, epoch);
    const present = new Set(records.filter(isRecord).map((record) => record.topic));
    for (const [topic, entry] of this.#kept) {
      // Ended topics become doubtful, too: a later attempt may have ended in the meantime, and no longer be shown. But
      // what was learned from the database before the first snapshot is as new as the snapshot.
      if (!present.has(topic) && (this.#begun || !isTerminal(entry.record))) this.#doubtful.set(topic, entry);
    }
    this.#begun = true;
    return changed;
  }

  /** Takes records of the database (offset 0). Unfinished ones are doubtful until a feed confirms them.
   *  @param {Record[]} records */
  learn(records) {
    const changed = this.apply(records, null);
    for (const { topic } of changed) {
      const entry = /** @type {Entry} */ (this.#kept.get(topic));
      if (!isTerminal(entry.record)) this.#doubtful.set(topic, entry);
    }
    return changed;
  }

  /** Marks a topic as doubtful if nothing is known of it. Returns whether it is doubtful now.
   *  @param {string} topic a topic; `job:*` and `*` are ignored */
  expect(topic) {
    if (!this.#kept.has(topic) && !topic.endsWith("*")) this.#doubtful.set(topic, null);
    return this.#doubtful.has(topic);
  }

  /**
   * Takes the answer to a question by name; null if nobody knows the topic. Returns the answer if it changed something,
   * or a record with the status `UNKNOWN` if nobody knows the topic and no ended record of it is kept.
   * @param {string} topic @param {Record | null} answer @param {string | null} epoch @returns {Record[]}
   */
  settle(topic, answer, epoch) {
    const entry = this.#doubtful.get(topic);
    this.#doubtful.delete(topic);
    const open = entry === null || (entry && !isTerminal(entry.record));
    // If an unfinished record was doubtful, the answer is right, even if it is older or null. What has ended stays
    // ended until a later attempt.
    if (open && entry && (!answer || compare(answer, entry.record) < 0)) this.#kept.delete(topic);
    if (answer) return this.apply([answer], epoch);
    return open ? [{ offset: 0, topic, attempt: entry?.record.attempt ?? 0, status: "UNKNOWN" }] : [];
  }

  /** Drops the records that ended first, if more than `ENDED` have. Returns their topics.
   *  @param {Set<string>} watched topics that are kept, and not counted */
  forget(watched) {
    const topics = [...this.#ended].filter((topic) => !watched.has(topic)).slice(0, -ENDED);
    for (const topic of topics) for (const kept of [this.#kept, this.#doubtful, this.#ended]) kept.delete(topic);
    return topics;
  }

  /** @param {Record} record @param {string | null} epoch */
  #put(record, epoch) {
    if (!isRecord(record)) return false;
    const next = { record, epoch };
    const kept = this.#kept.get(record.topic);
    if (kept && !supersedes(kept, next)) {
      if (kept.epoch === epoch && kept.record.offset === record.offset) this.#doubtful.delete(record.topic);
      return false;
    }
    this.#kept.set(record.topic, next);
    this.#doubtful.delete(record.topic);
    this.#ended.delete(record.topic);
    if (isTerminal(record)) this.#ended.add(record.topic);
    return true;
  }
}
