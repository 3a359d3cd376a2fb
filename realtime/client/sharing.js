// One connection for all tabs of a user: the tab that holds a Web Lock owns the connection, and passes frames on to the
// others through a BroadcastChannel. The names of both contain `share` from the ticket, so tabs of two academies never meet.

import { Connection } from "./connection.js";
import { epochOf } from "./fold.js";
import { Questions } from "./questions.js";
import { Timers } from "./timers.js";

const TICKET_FRESH_MS = 30_000; // an older ticket is not used: it opens a connection for a minute only
const FIRST_SILENCE_MS = 20_000; // until the owner has said how often its server pings
const ANSWER_MS = 2000; // for an owner to show that it is there
const END_MS = 1000;

/**
 * @typedef {import("./fold.js").Record} Record
 * @typedef {import("./connection.js").Status} Status
 * @typedef {import("./links.js").Granted} Granted
 * @typedef {{environment: import("./environment.js").Environment, ticket: () => Promise<Granted>, share: boolean,
 *   resolve: (topic: string) => Promise<Record | null>, fold: () => import("./fold.js").Fold,
 *   onFrame: (frame: any) => void,
 *   onAnswer: (topic: string, record: Record | null, epoch: string | null) => void,
 *   onStatus: (status: Status) => void, onForget: () => void}} Options  `onForget`: forget all records.
 * @typedef {{kind?: string, from: string, to?: string, place?: string, before?: string, frame?: any, status?: Status,
 *   silenceMs?: number, topics?: string[], answer?: [topic: string, record: Record | null, epoch: string | null]}} Message
 *   The owner sends frames, answers and its status. Its only `kind` is `owner` (I am the owner now). The kinds of the
 *   other tabs are `join` (my place may be too old), `want` (ask for these topics), `reconnect`, and `claim` (I become
 *   the owner, unless the present owner sends something now).
 */

export class Sharing {
  /** The place of the newest frame that this tab has. */
  #place = "";
  #id = `${Math.random()}`;
  #share = "";
  /** @type {{granted: Granted, at: number} | null} a ticket that no connection has used yet, and when it was issued */
  #unused = null;
  /** The id of the tab that owns the connection, or "". */
  #owner = "";
  /** @type {Connection | null} the connection, if this tab owns it */
  #connection = null;
  /** @type {BroadcastChannel | null} */
  #channel = null;
  /** @type {AbortController | null} ends the request for the lock, or its possession */
  #lock = null;
  #questions;
  #timers = new Timers();
  #asleep = false;
  #stopped = false;
  /** Whether this tab shares nothing, because the browser refuses to. */
  #alone = false;
  /** Whether this tab waits for a snapshot from the owner. */
  #behind = false;
  #last = "";
  #options;
  #unlisten;

  /** @param {Options} options */
  constructor(options) {
    this.#options = options;
    this.#questions = new Questions({
      send: () => this.#connection?.send ?? null,
      ticket: () => this.#ticket(),
      resolve: async (topic) => {
        const share = this.#share;
        const record = await options.resolve(topic);
        if (share !== this.#share) throw share; // another user has signed in meanwhile: ask again
        return record;
      },
      onAnswer: (topic, record, epoch) => {
        options.onAnswer(topic, record, epoch);
        this.#post({ answer: [topic, record, epoch] });
      },
      ended: () => this.#stopped,
    });
    this.#unlisten = options.environment.listen({
      wake: () => {
        if (this.#asleep) this.#connect();
        else this.#connection?.wake();
      },
      sleep: () => this.#sleep(),
      offline: () => this.#connection?.lose(),
    });
    this.#alone = !options.share;
    this.#connect();
  }

  /** Asks for topics by name, through the owner. @param {string[]} topics */
  ask(topics) {
    if (topics.length === 0) return;
    if (!this.#connection) this.#post({ kind: "want", topics });
    else if (this.#connection.ready) this.#questions.ask(topics);
  }

  reconnect() {
    if (this.#connection) this.#connection.reconnect();
    else this.#post({ kind: "reconnect" });
  }

  /** Leaves the other tabs, or closes the connection if this tab is the last one. */
  close() {
    this.#stopped = true;
    this.#unlisten();
    this.#leave();
  }

  /** Opens the connection in this tab. */
  #connect() {
    this.#asleep = false;
    this.#connection = new Connection({
      environment: this.#options.environment,
      ticket: () => this.#ticket(),
      place: this.#place,
      unfinished: () => this.#options.fold().unfinished,
      onFrame: (frame) => this.#onFrame(frame),
      onStatus: (status) => this.#onStatus(status),
    });
  }

  /** Gets a ticket. The first one shows whether there are other tabs with which to share the connection. */
  async #ticket() {
    const unused = this.#unused;
    this.#unused = null;
    if (unused && Date.now() - unused.at < TICKET_FRESH_MS) return unused.granted;
    const granted = await this.#options.ticket();
    if (!this.#connection) return granted; // closed, or asleep
    const { share = "" } = granted;
    const changed = this.#share && share !== this.#share;
    this.#share = share;
    if (changed) {
      // Somebody else has signed in, or the topics have changed: what this tab has may not be mixed with what comes.
      this.#leave();
      this.#place = "";
      this.#options.onForget();
    }
    // Browsers give locks only to pages of https and localhost.
    if (share && !this.#channel && !this.#alone && navigator.locks) {
      this.#join();
      this.#unused = { granted, at: Date.now() }; // for the connection, if this tab gets the lock soon
    } else if (changed) this.#connect();
    return granted;
  }

  /** Follows the tab that owns the connection, and becomes the owner when that one ends. */
  #join() {
    this.#leave();
    this.#channel = new BroadcastChannel(`realtime.${this.#share}`);
    this.#channel.onmessage = ({ data }) => this.#receive(data);
    this.#owner = "";
    this.#behind = true;
    this.#post({ kind: "join", place: this.#place });
    this.#listen(FIRST_SILENCE_MS);
    this.#request(false);
  }

  /** Requests the lock. @param {boolean} steal whether to take it from its owner */
  #request(steal) {
    this.#lock?.abort();
    const lock = (this.#lock = new AbortController());
    navigator.locks.request(`realtime.${this.#share}`, steal ? { steal } : { signal: lock.signal }, () => {
      if (lock !== this.#lock) return undefined;
      this.#timers.stop();
      this.#connect();
      this.#post({ kind: "owner" });
      return new Promise((release) => lock.signal.addEventListener("abort", release));
    }).catch((error) => {
      if (lock !== this.#lock) return;
      // Another tab has taken the lock, because this one was silent: begin again as a follower. Any other error means that
      // the browser forbids locks here: connect without the other tabs.
      this.#alone = error?.name !== "AbortError";
      this.#leave();
      this.#connect();
    });
  }

  /** Replaces the owner if it sends nothing for this time, and nothing after a `claim`. @param {number} ms */
  #listen(ms) {
    this.#timers.set("silence", () => {
      this.#post({ kind: "claim" });
      this.#timers.set("silence", () => this.#request(true), ANSWER_MS);
    }, ms);
  }

  /** The browser is about to freeze this tab: let another one own the connection. */
  #sleep() {
    if (this.#stopped) return;
    this.#asleep = true;
    this.#leave();
  }

  #leave() {
    this.#timers.stop();
    this.#questions.clear();
    this.#connection?.close();
    this.#channel?.close();
    this.#lock?.abort();
    this.#connection = this.#channel = this.#lock = this.#unused = null;
  }

  /** @param {any} frame */
  #onFrame(frame) {
    if (frame.type === "subscribed" || frame.type === "error") this.#questions.answered(frame);
    this.#options.onFrame(frame);
    if (!frame.place) return;
    this.#post({ frame, before: this.#place });
    this.#place = frame.place;
  }

  /** @param {Status} status */
  #onStatus(status) {
    if (!this.#show(status)) return;
    this.#post();
    if (!this.#connection?.ready) this.#questions.clear();
    if (status.state === "stopped") this.#end();
  }

  /** The server has ended the feed. Keeps the lock until the other tabs know, so that none of them connects again. */
  #end() {
    this.#stopped = true;
    this.#timers.stop();
    this.#timers.set("end", () => this.close(), END_MS);
  }

  /** Sends a message to the other tabs, with the status if this tab is the owner. @param {Partial<Message>} [message] */
  #post(message) {
    const connection = this.#connection;
    this.#channel?.postMessage({ ...message, from: this.#id, status: connection?.status, silenceMs: connection?.silenceMs });
  }

  /** @param {Message} message */
  #receive(message) {
    if (message.to && message.to !== this.#id) return;
    if (message.status?.state === "stopped") {
      // The feed has ended for all tabs of the user, whichever tab owns the connection now.
      this.#show(message.status);
      this.close();
    } else if (this.#connection) this.#serve(message);
    else this.#obey(message);
  }

  /** Serves another tab, as the owner. @param {Message} message */
  #serve({ kind, from, place, topics }) {
    const connection = /** @type {Connection} */ (this.#connection);
    if (kind === "join") {
      // If the tab is at the same place, it has all records, and gets none. It asks by name for what else it wants.
      const whole = place !== this.#place;
      const records = whole ? this.#options.fold().recordsOf(epochOf(this.#place)) : [];
      const frame = connection.ready && { type: "snapshot", whole, place: this.#place, records };
      this.#post({ to: from, before: place, frame });
    } else if (kind === "want") this.ask(topics ?? []);
    else if (kind === "claim") this.#post();
    else if (kind === "reconnect") connection.reconnect();
  }

  /** Takes what the owner says. @param {Message} message */
  #obey({ kind, from, to, frame, before, status, silenceMs, answer }) {
    // Several tabs may miss the owner. The one with the lowest id replaces it, and the others give that tab time.
    if (kind === "claim" && from < this.#id) this.#listen(ANSWER_MS);
    if (!status || !silenceMs) return; // of a tab that is no owner
    if (kind === "owner" || !this.#owner) this.#owner = from;
    if (from !== this.#owner) return; // of an owner that was replaced, and does not know it yet
    this.#listen(silenceMs / 2); // more than a ping, which the owner passes on
    if (kind === "owner" || to) this.#behind = false;
    if (answer) this.#options.onAnswer(...answer);
    if (frame && !frame.whole && before !== this.#place) {
      // A frame was missed: ask for a snapshot, once until it comes.
      if (!this.#behind) this.#post({ kind: "join", place: this.#place });
      this.#behind = true;
    } else if (frame) {
      this.#place = frame.place;
      this.#options.onFrame(frame);
    }
    if (this.#place) this.#show(status); // else "live" would come before the first record
  }

  /** Passes a status on if it is another one than the last. Returns whether it was. @param {Status} status */
  #show(status) {
    const text = JSON.stringify(status);
    if (text === this.#last) return false;
    this.#last = text;
    this.#options.onStatus(status);
    return true;
  }
}
