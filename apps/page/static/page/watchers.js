// The functions that are called with the records of a topic, or of all topics.

/** @typedef {import("./fold.js").Record} Record */

export class Watchers {
  /** @type {Set<{topic: string, tell: (record: Record) => void}>} */
  #watchers = new Set();

  /** Calls `tell` with these and with all later records of `topic`, or of all topics (`*`). Returns what ends that.
   *  @param {string} topic @param {(record: Record) => void} tell @param {Iterable<Record>} records */
  add(topic, tell, records) {
    const watcher = { topic, tell };
    this.#watchers.add(watcher);
    for (const record of records) if (topic === "*" || topic === record.topic) tell(record);
    return () => this.#watchers.delete(watcher);
  }

  /** @param {(Record | null)[]} records */
  tell(records) {
    for (const record of records) {
      for (const { topic, tell } of this.#watchers) {
        if (record && (topic === "*" || topic === record.topic)) tell(record);
      }
    }
  }

  clear() {
    this.#watchers.clear();
  }
}
