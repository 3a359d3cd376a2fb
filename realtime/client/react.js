// React hooks: the records of a feed as the state of components. On a server, and while a page hydrates, there is no feed:
// every record is undefined, and the state is "connecting".

import { createContext, createElement, useContext, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { CONNECTING } from "./connection.js";
import { covers } from "./watchers.js";

/**
 * @typedef {import("./fold.js").Record} Record
 * @typedef {import("./connection.js").Status} Status
 * @typedef {import("./feed.js").Feed} Feed
 */
/** What a hook reads, and how it hears of changes.
 *  @template T @typedef {{read: () => T, subscribe: (changed: () => void) => () => void}} Source */

/** @type {readonly Record[]} */
const NONE = [];

/** @type {import("react").Context<Feed | null | undefined>} */
const Context = createContext(/** @type {Feed | null | undefined} */ (undefined));

/** What the hooks keep of each feed, so that reading a record copies nothing. @type {WeakMap<Feed, Kept>} */
const kept = new WeakMap();

/** The newest record of each topic of a feed, also of topics that nobody knows. */
class Kept {
  /** @type {Map<string, Record>} */
  records = new Map();
  /** @type {Set<() => void>} functions to call when records were forgotten */
  listeners = new Set();

  /** @param {Feed} feed */
  constructor(feed) {
    feed.watch("*", (record) => this.records.set(record.topic, record));
    feed.on("forget", (/** @type {string[]} */ topics) => {
      for (const topic of topics) this.records.delete(topic);
      for (const listener of this.listeners) listener();
    });
  }

  /** Calls `changed` when a record that the pattern covers comes, and when records are forgotten.
   *  @param {Feed} feed @param {string} pattern @param {() => void} changed */
  subscribe(feed, pattern, changed) {
    const end = feed.watch(pattern, changed);
    this.listeners.add(changed);
    return () => {
      end();
      this.listeners.delete(changed);
    };
  }
}

/** @param {Feed} feed */
function keptOf(feed) {
  const found = kept.get(feed) ?? new Kept(feed);
  kept.set(feed, found);
  return found;
}

/** A function that ends nothing. */
const nothing = () => {};

/**
 * Gives a feed to the hooks of all components inside. `feed` is a feed, or a function that connects: it is called once the
 * provider is mounted, and its feed is closed when the provider is unmounted. Change the provider's `key` to connect again.
 * @param {{feed: Feed | (() => Feed), children?: import("react").ReactNode}} props
 */
export function FeedProvider({ feed, children }) {
  const [connected, setConnected] = useState(/** @type {Feed | null} */ (null));
  const [connect] = useState(() => (typeof feed === "function" ? feed : null));
  useEffect(() => {
    if (!connect) return undefined;
    const opened = connect();
    setConnected(opened);
    return () => {
      opened.close();
      setConnected(null);
    };
  }, [connect]);
  return createElement(Context.Provider, { value: typeof feed === "function" ? connected : feed }, children);
}

/** The feed of the provider around this component; null until the provider has connected, and on a server. */
export function useFeed() {
  const feed = useContext(Context);
  if (feed === undefined) throw new Error("There is no <FeedProvider> around this component.");
  return feed;
}

/**
 * The newest record of a topic, or undefined while there is none. A topic that nobody knows has a record with the status
 * `UNKNOWN`. Without a topic (null, undefined or "") nothing is watched.
 * @param {string | null | undefined} topic @returns {Record | undefined}
 */
export function useRecord(topic) {
  const feed = useFeed();
  const source = useMemo(() => (feed && topic ? recordSource(feed, topic) : null), [feed, topic]);
  return useSource(source, undefined);
}

/**
 * The newest record of each topic that a pattern covers, in the order in which the topics came.
 * @param {string} pattern all topics of a kind (`job:*`), or all (`*`) @returns {readonly Record[]}
 */
export function useRecords(pattern) {
  const feed = useFeed();
  const source = useMemo(() => (feed ? listSource(feed, pattern) : null), [feed, pattern]);
  return useSource(source, NONE);
}

/** The state of the connection, with the reason and the time of the next attempt. @returns {Status} */
export function useStatus() {
  const feed = useFeed();
  const source = useMemo(() => (feed ? statusSource(feed) : null), [feed]);
  return useSource(source, CONNECTING);
}

/** @template T @param {Source<T> | null} source @param {T} missing the value without a source @returns {T} */
function useSource(source, missing) {
  return useSyncExternalStore(source?.subscribe ?? (() => nothing), source?.read ?? (() => missing), () => missing);
}

/** @param {Feed} feed @param {string} topic @returns {Source<Record | undefined>} */
function recordSource(feed, topic) {
  const found = keptOf(feed);
  return { read: () => found.records.get(topic), subscribe: (changed) => found.subscribe(feed, topic, changed) };
}

/** @param {Feed} feed @param {string} pattern @returns {Source<readonly Record[]>} */
function listSource(feed, pattern) {
  const found = keptOf(feed);
  const select = () => [...found.records.values()].filter(({ topic, status }) => status !== "UNKNOWN" && covers(pattern, topic));
  let list = select();
  return {
    read: () => list,
    subscribe: (changed) => {
      let pending = false;
      const update = () => {
        pending = false;
        const next = select();
        if (next.length === list.length && next.every((record, index) => record === list[index])) return;
        list = next;
        changed();
      };
      // A frame brings many records, one after the other: make one list of all of them.
      const updateSoon = () => {
        if (!pending) queueMicrotask(update);
        pending = true;
      };
      updateSoon(); // React subscribes some time after it has read the list
      return found.subscribe(feed, pattern, updateSoon);
    },
  };
}

/** @param {Feed} feed @returns {Source<Status>} */
function statusSource(feed) {
  return { read: () => feed.status, subscribe: (changed) => feed.on("state", changed) };
}
