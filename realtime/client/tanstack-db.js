// The records of a feed as a collection of TanStack DB, which only the feed changes.

/**
 * @typedef {import("./fold.js").Record} Record
 * @typedef {import("./feed.js").Feed} Feed
 * @typedef {import("@tanstack/db").CollectionConfig<Record, string>} Config
 */

/** The states after a first snapshot, and `stopped`, after which no snapshot comes. */
const SETTLED = new Set(["live", "delayed", "polling", "stopped"]);

/**
 * The options of a collection with the newest record of each topic, for `createCollection()`. The key is the topic. The
 * collection is ready after the first snapshot.
 * @param {Omit<Config, "sync" | "getKey" | "onInsert" | "onUpdate" | "onDelete" | "schema"> & {feed: Feed, topics?: string}}
 *   options `topics` are all topics of a kind (`job:*`) or all (`*`, the default). The others are those of `createCollection()`.
 * @returns {Config}
 */
export function feedCollectionOptions({ feed, topics = "*", ...options }) {
  return {
    ...options,
    getKey: (record) => record.topic,
    sync: { rowUpdateMode: "full", sync: (collection) => follow(feed, topics, collection) },
  };
}

/** Writes what the feed brings into a collection. Returns a function that ends it.
 *  @param {Feed} feed @param {string} topics @param {Parameters<Config["sync"]["sync"]>[0]} collection */
function follow(feed, topics, { begin, write, commit, markReady, markError }) {
  /** @type {Map<string, Record | null>} what has changed since the last transaction; null: the topic is gone */
  const changed = new Map();
  /** @type {Set<string>} the topics that are in the collection */
  const present = new Set();
  let ready = false;
  let ended = false;

  const flush = () => {
    if (ended || changed.size === 0) return;
    begin();
    for (const [topic, record] of changed) {
      if (record) write({ type: present.has(topic) ? "update" : "insert", value: record });
      else if (present.has(topic)) write({ type: "delete", key: topic });
      present[record ? "add" : "delete"](topic);
    }
    changed.clear();
    commit();
  };

  /** @param {import("./connection.js").Status} status */
  const judge = ({ state, code }) => {
    if (ready || !SETTLED.has(state)) return;
    ready = true;
    flush();
    if (state === "stopped" && present.size === 0) markError(new Error(`The feed ended with ${code} before its first snapshot.`));
    else markReady();
  };

  /** @param {string} topic @param {Record | null} record null: the topic is gone */
  const note = (topic, record) => {
    // A frame brings many records, one after the other: make one transaction of all of them.
    if (changed.size === 0) queueMicrotask(flush);
    changed.set(topic, record);
  };
  const ends = [
    feed.watch(topics, (record) => note(record.topic, record.status === "UNKNOWN" ? null : record)),
    feed.on("state", judge),
    feed.on("forget", (/** @type {string[]} */ topics) => topics.forEach((topic) => note(topic, null))),
  ];
  judge(feed.status);
  return () => {
    ended = true;
    for (const end of ends) end();
  };
}
