// The functions that are called with the records of a topic, of all topics of a kind (`job:*`) or of all topics (`*`).

/** @typedef {import("./fold.js").Record} Record */

/** Whether a pattern covers a topic. @param {string} pattern a topic, `job:*` or `*` @param {string} topic */
export function covers(pattern, topic) {
  return pattern.endsWith("*") ? topic.startsWith(pattern.slice(0, -1)) : topic === pattern;
}

/** Calls a listener. An exception is reported like any uncaught error, and does no harm to the caller.
 *  @template T @param {(value: T) => void} listener @param {T} value */
export function call(listener, value) {
  try {
    listener(value);
  } catch (error) {
    setTimeout(() => { throw error; });
  }
}

export class Watchers {
  /** @type {Set<{pattern: string, listener: (record: Record) => void}>} */
  #watchers = new Set();

  /** Calls `listener` with these and with all later records that the pattern covers. Returns a function that ends it.
   *  @param {string} pattern @param {(record: Record) => void} listener @param {Iterable<Record>} records */
  add(pattern, listener, records) {
    const watcher = { pattern, listener };
    this.#watchers.add(watcher);
    for (const record of records) if (covers(pattern, record.topic)) call(listener, record);
    return () => { this.#watchers.delete(watcher); };
  }

  /** What is watched. */
  get patterns() {
    return new Set([...this.#watchers].map(({ pattern }) => pattern));
  }

  /** Passes records on. An exception of a listener is reported like any uncaught error, and stops no other listener.
   *  @param {Record[]} records */
  notify(records) {
    for (const record of records) {
      for (const watcher of [...this.#watchers]) {
        if (this.#watchers.has(watcher) && covers(watcher.pattern, record.topic)) call(watcher.listener, record);
      }
    }
  }
}
