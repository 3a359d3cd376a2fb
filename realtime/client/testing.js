// A feed for the tests of an application: it has no connection, and the test decides what it brings.

import { CONNECTING } from "./connection.js";
import { Feed } from "./feed.js";
import { Fold } from "./fold.js";
import { Watchers } from "./watchers.js";

const EPOCH = "fake";

/**
 * @typedef {import("./fold.js").Record} Record
 * @typedef {import("./connection.js").State} State
 * @typedef {import("./connection.js").Status} Status
 * @typedef {Partial<Record> & {topic: string}} Change  A record, of which the fake feed fills in what is left out.
 */

/** A feed that a test controls. It has all that `Feed` has, and folds records in the same way. */
class FakeFeed {
  /** @type {Status} */
  status = CONNECTING;
  /** How often the application has called `reconnect()`. */
  reconnects = 0;
  #fold = new Fold();
  #watchers = new Watchers();
  /** @type {{[event: string]: Set<(detail: any) => void>}} */
  #listeners = { state: new Set(), frame: new Set(), forget: new Set() };
  #offset = 0;

  /**
   * Brings a record, as the server would after a publish. What is left out: the offset is the next one, the attempt and
   * `data` are those of the record before, and the status is PROCESSING. Returns the whole record.
   * @param {Change} change @returns {Record}
   */
  publish(change) {
    const before = this.#fold.records.get(change.topic);
    this.#offset = change.offset ?? this.#offset + 1;
    /** @type {Record} */
    const record = {
      attempt: before?.attempt ?? 1, status: "PROCESSING", progress: null, data: before?.data ?? {}, error: null,
      stalled: false, published_at: Date.now() / 1000, ...change, offset: this.#offset,
    };
    const changed = this.#fold.apply([record], EPOCH);
    if (changed.length === 0) {
      const what = `${record.status} after ${before?.status} in attempt ${record.attempt} of ${record.topic}`;
      throw new Error(`No server would publish ${what}. A retry has a higher \`attempt\`.`);
    }
    this.#emit("frame", { type: "records", place: `${EPOCH}.${this.#offset}.0`, records: [record] });
    this.#watchers.notify(changed);
    return record;
  }

  /** Ends a job: brings its record with a terminal status, which is DONE if left out. @param {Change} change */
  finish(change) {
    return this.publish({ status: "DONE", ...change });
  }

  /** Lets an unfinished or missing topic be unknown, as after the deletion of its job. @param {string} topic */
  forget(topic) {
    this.#fold.expect(topic);
    this.#fold.replace([...this.records.values()].filter((record) => record.topic !== topic), EPOCH);
    this.#watchers.notify(this.#fold.settle(topic, null, null));
  }

  /** Forgets all records, as when another user has signed in: the feed connects again, with that user's ticket. */
  forgetAll() {
    const topics = [...this.records.keys()];
    this.#fold = new Fold();
    for (const pattern of this.#watchers.patterns) this.#fold.expect(pattern);
    this.#emit("forget", [...new Set([...topics, ...this.#fold.doubtful])]);
    this.setState("connecting");
  }

  /** Changes the state of the connection. @param {State} state @param {Partial<Status>} [why] */
  setState(state, why) {
    this.status = { ...CONNECTING, ...why, state };
    this.#emit("state", this.status);
  }

  /** @returns {State} */
  get state() {
    return this.status.state;
  }

  get records() {
    return this.#fold.records;
  }

  /** @param {string} topic @param {(record: Record) => void} listener */
  watch(topic, listener) {
    return this.#watchers.add(topic, listener, this.records.values());
  }

  /** @param {"state" | "forget" | "frame"} event @param {(detail: any) => void} listener */
  on(event, listener) {
    this.#listeners[event].add(listener);
    return () => void this.#listeners[event].delete(listener);
  }

  /** @param {string} topic @param {{signal?: AbortSignal}} [options] @returns {Promise<Record>} */
  finished(topic, options) {
    return Feed.prototype.finished.call(/** @type {any} */ (this), topic, options);
  }

  /** @param {Record[]} records */
  learn(records) {
    this.#watchers.notify(this.#fold.learn(records));
  }

  reconnect() {
    this.reconnects++;
  }

  close() {
    if (this.state !== "stopped") this.setState("stopped", { reason: "closed" });
    this.#watchers = new Watchers();
  }

  /** @param {"state" | "forget" | "frame"} event @param {any} detail */
  #emit(event, detail) {
    for (const listener of [...this.#listeners[event]]) listener(detail);
  }
}

/**
 * Makes a feed that a test controls, for whatever takes a `Feed`.
 * @param {{records?: Change[], state?: State}} [options] the records and the state that it has at first
 * @returns {Feed & FakeFeed}
 */
export function fakeFeed({ records = [], state = "live" } = {}) {
  const feed = new FakeFeed();
  for (const record of records) feed.publish(record);
  feed.setState(state);
  return /** @type {Feed & FakeFeed} */ (/** @type {unknown} */ (feed));
}
