// A feed: the newest record of each topic that its user may watch, kept up to date by one connection.

import { CONNECTING } from "./connection.js";
import { Fold, epochOf, isTerminal } from "./fold.js";
import { Sharing } from "./sharing.js";
import { Watchers, call } from "./watchers.js";

const LEARNT_MS = 1000;

/**
 * @typedef {import("./fold.js").Record} Record
 * @typedef {import("./links.js").Granted} Granted
 * @typedef {import("./connection.js").State} State
 * @typedef {import("./connection.js").Status} Status
 * @typedef {{ticket: () => Promise<Granted>, resolve?: (topic: string) => Promise<Record | null>, share?: boolean,
 *   signal?: AbortSignal}} Options
 *   `ticket` gets a new ticket from the back end. An error with `status` 401 or 403 ends the feed, and `retryAfterMs`
 *   delays the next attempt. `resolve` asks the back end for a topic that the feed does not know; null if there is none.
 *   `share: false` keeps this tab's connection to itself. `signal` closes the feed when it is aborted.
 */

/** Why `finished()` cannot tell the end of a job. */
export class FeedError extends Error {
  name = "FeedError";

  /** @param {number | "unknown_topic"} code  unknown_topic: no feed and no detail endpoint knows the topic. A number: the
   *  feed was closed by the server with this close code (4400 to 4499), or by `close()` or its signal (0). */
  constructor(code) {
    super(`${code}`);
    this.code = code;
  }
}

export class Feed {
  /** The state of the connection, with the reason and the time of the next attempt. */
  status = CONNECTING;
  #fold = new Fold();
  #watchers = new Watchers();
  /** @type {{[event: string]: Set<(detail: any) => void>}} */
  #listeners = { state: new Set(), frame: new Set(), forget: new Set() };
  #sharing;

  /** @param {Options} options @param {import("./environment.js").Environment} environment */
  constructor(options, environment) {
    this.#sharing = new Sharing({
      share: true,
      resolve: async () => null,
      ...options,
      environment,
      fold: () => this.#fold,
      onFrame: (frame) => this.#receive(frame),
      onAnswer: (topic, record, epoch) => this.#pass(this.#fold.settle(topic, record, epoch)),
      onStatus: (status) => this.#setStatus(status),
      onForget: () => this.#forget(),
    });
    const { signal } = options;
    signal?.addEventListener("abort", () => this.close());
    if (signal?.aborted) this.close();
  }

  /** @returns {State} */
  get state() {
    return this.status.state;
  }

  /** The newest record of each topic. */
  get records() {
    return this.#fold.records;
  }

  /**
   * Calls `listener` with the record of a topic: now, if there is one, and after each change. A topic that nobody knows
   * comes once with the status `UNKNOWN`. Returns a function that ends the watching.
   * @param {string} topic a topic (`video:42`), all topics of a kind (`job:*`), or `*`
   * @param {(record: Record) => void} listener
   */
  watch(topic, listener) {
    const end = this.#watchers.add(topic, listener, this.records.values());
    if (this.#fold.expect(topic)) this.#sharing.ask([topic]);
    return end;
  }

  /**
   * Waits for the end of a job: resolves with its record when its status is READY, DONE, FAILED or CANCELLED.
   * @param {string} topic @param {{signal?: AbortSignal}} [options] @returns {Promise<Record>}
   * @throws {FeedError} if nobody knows the topic, or if the feed is closed before
   */
  async finished(topic, { signal } = {}) {
    /** @type {(() => void)[]} */
    const ends = [];
    try {
      return await new Promise((resolve, reject) => {
        const check = () => {
          if (signal?.aborted) reject(signal.reason);
          else if (this.state === "stopped") reject(new FeedError(this.status.code));
        };
        signal?.addEventListener("abort", check);
        ends.push(() => signal?.removeEventListener("abort", check), this.on("state", check));
        check();
        ends.push(this.watch(topic, (record) => {
          if (isTerminal(record)) resolve(record);
          else if (record.status === "UNKNOWN") reject(new FeedError("unknown_topic"));
        }));
      });
    } finally {
      for (const end of ends) end();
    }
  }

  /**
   * Calls `listener` on each event until the returned function is called. `state`: the connection's status has changed,
   * and the listener gets the new one. `forget`: the feed has dropped records, and the listener gets a list of their
   * topics. When another user signs in, these are all topics. When more than 1000 jobs have ended that nobody watches
   * by name, these are the jobs that ended first. `frame`: a frame has arrived; for tools.
   * @param {"state" | "forget" | "frame"} event @param {(detail: any) => void} listener
   */
  on(event, listener) {
    this.#listeners[event].add(listener);
    return () => { this.#listeners[event].delete(listener); };
  }

  /**
   * Takes records that the page has read from its HTTP API (`offset` 0). Unfinished ones that the feed does not bring by
   * itself are asked for by name a second later.
   * @param {Record[]} records
   */
  learn(records) {
    this.#pass(this.#fold.learn(records));
    setTimeout(() => this.#sharing.ask(this.#fold.doubtful), LEARNT_MS);
  }

  /** Connects now instead of at the next attempt. */
  reconnect() {
    this.#sharing.reconnect();
  }

  close() {
    this.#sharing.close();
    if (this.state !== "stopped") this.#setStatus({ ...CONNECTING, state: "stopped", reason: "closed" });
  }

  /** @param {any} frame */
  #receive(frame) {
    this.#emit("frame", frame);
    const { type, records, place, whole } = frame;
    if (type !== "snapshot" && type !== "records") return;
    this.#pass(this.#fold[whole ? "replace" : "apply"](records, epochOf(place)));
    if (type === "snapshot") this.#sharing.ask(this.#fold.doubtful);
  }

  /** Passes changed records on, and drops the ones that ended first. @param {Record[]} changed */
  #pass(changed) {
    this.#watchers.notify(changed);
    const topics = this.#fold.forget(this.#watchers.patterns);
    if (topics.length > 0) this.#emit("forget", topics);
  }

  /** Forgets the records of an earlier user. What is watched by name is asked for again, as the present user. */
  #forget() {
    const topics = [...this.records.keys()];
    this.#fold = new Fold();
    for (const pattern of this.#watchers.patterns) this.#fold.expect(pattern);
    this.#emit("forget", [...new Set([...topics, ...this.#fold.doubtful])]);
  }

  /** @param {Status} status */
  #setStatus(status) {
    this.status = status;
    this.#emit("state", status);
  }

  /** @param {string} event @param {any} detail */
  #emit(event, detail) {
    for (const listener of [...this.#listeners[event]]) call(listener, detail);
  }
}
