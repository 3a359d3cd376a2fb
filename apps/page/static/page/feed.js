// The connection to the push engine: ticket, link, place, back-off, close codes, and the state of all this, as
// docs/reference/realtime-protocol.md describes it. It offers `connect()`, `watch()`, `records` and `state`.

import { Fold, epochOf } from "./fold.js";
import { Ladder } from "./ladder.js";
import { Questions } from "./questions.js";
import { Timers } from "./timers.js";
import { reasonFor, waitAfter } from "./waits.js";
import { Watchers } from "./watchers.js";

const FIRST_FRAME_MS = 20_000;
const POLLS_SILENT_MS = 30_000;
const STEADY_MS = 20_000;
const GRACE_MS = 5000; // beyond the time of a ping

/**
 * @typedef {import("./fold.js").Record} Record
 * @typedef {import("./links.js").Granted} Granted
 * @typedef {"connecting" | "live" | "delayed" | "polling" | "offline" | "refused" | "stopped"} State
 *   live: frames arrive. delayed: the server cannot read the feed, or is late. polling: no connection gets through, so it
 *   is asked. offline, refused: nothing arrives, and there will be another attempt. stopped: there will be none.
 * @typedef {{reason: string, nextAt: number | null}} Why  `reason` is a word for each case, `nextAt` the next attempt.
 * @typedef {{ticket: () => Promise<Granted>, resolve: (topic: string) => Promise<Record | null>,
 *   onState?: (state: State, code: number, why: Why) => void}} Options
 * @typedef {{heard: boolean, link: import("./links.js").Link}} Attempt
 */

/** @param {Options} options */
export function connect(options) {
  return new Feed(options);
}

export class Feed {
  /** @type {State} */
  state = "connecting";
  #fold = new Fold();
  #watchers = new Watchers();
  /** @type {Attempt | null} the link that stands, or is being made */
  #attempt = null;
  /** @type {Attempt | null} a better link that is tried while the present one stands */
  #candidate = null;
  #ladder = new Ladder();
  #place = "";
  /** @type {Record[]} parts of a snapshot that is still coming */
  #parts = [];
  #questions;
  #tries = 0;
  #liveSince = 0;
  #heardAt = 0;
  #silenceMs = FIRST_FRAME_MS;
  #lateMs = Infinity;
  /** @type {{code: number, retry_after_ms?: number, limit?: string} | null} */
  #closing = null;
  #timers = new Timers();
  #waitOrdered = false;
  #told = "";
  #options;
  #wake = () => this.#wakeUp();
  #lose = () => this.#setState("offline", { reason: "no_network" });

  /** @param {Options} options */
  constructor(options) {
    this.#options = options;
    this.#questions = new Questions({
      fold: this.#fold,
      send: () => this.#attempt?.link.send ?? null,
      ticket: options.ticket,
      resolve: options.resolve,
      tell: (records) => this.#watchers.tell(records),
      ended: () => this.#ended,
    });
    addEventListener("online", this.#wake);
    addEventListener("offline", this.#lose);
    document.addEventListener("visibilitychange", this.#wake);
    this.#open();
  }

  /** The records that stand, by topic. */
  get records() {
    return this.#fold.records;
  }

  /** Calls `tell` with the record of `topic` (or of all, `*`): now, and on each change. A record that turned out not
   *  to exist comes as `UNKNOWN`. @param {string} topic @param {(record: Record) => void} tell */
  watch(topic, tell) {
    return this.#watchers.add(topic, tell, this.records.values());
  }

  /** Takes in what the HTTP API told; `prove` asks the feed for what is unfinished there and unknown here.
   *  @param {Record[]} records @param {{prove?: boolean}} [options] */
  learn(records, { prove = false } = {}) {
    this.#watchers.tell(this.#fold.learn(records));
    if (prove && this.#liveSince) this.#questions.ask();
  }

  close() {
    removeEventListener("online", this.#wake);
    removeEventListener("offline", this.#lose);
    document.removeEventListener("visibilitychange", this.#wake);
    this.#watchers.clear();
    this.#drop();
    this.#timers.stop("retry");
    this.state = "stopped";
  }

  async #open() {
    if (navigator.onLine) this.#setState("connecting");
    try {
      const granted = await this.#options.ticket();
      if (this.#ended || this.#attempt) return;
      this.#silenceMs = this.#ladder.polls ? POLLS_SILENT_MS : FIRST_FRAME_MS;
      this.#lateMs = Infinity;
      this.#attempt = this.#begin(granted, "open");
      this.#listen();
    } catch (error) {
      const { status, retryAfterMs } = /** @type {{status?: number, retryAfterMs?: number}} */ (error);
      const code = { 401: 4401, 403: 4403, 429: 4101, 503: 4003 }[status ?? 0] ?? 1006;
      if (!this.#ended) this.#plan(code, retryAfterMs);
    }
  }

  get #ended() {
    return this.state === "stopped";
  }

  /** @param {Granted} granted @param {"open" | "openBest"} open @returns {Attempt} */
  #begin(granted, open) {
    const attempt = /** @type {Attempt} */ ({ heard: false });
    attempt.link = this.#ladder[open]({
      granted,
      place: this.#place,
      ticket: this.#options.ticket,
      unfinished: () => this.#fold.unfinished,
      onFrame: (frame) => this.#hear(attempt, frame),
      onEnd: (end) => this.#end(attempt, end),
    });
    return attempt;
  }

  /** @param {Attempt} attempt @param {any} frame */
  #hear(attempt, frame) {
    if (attempt === this.#candidate && frame.type === "welcome") this.#adopt(attempt);
    if (attempt !== this.#attempt) return;
    attempt.heard = true;
    this.#ladder.noteFrame();
    this.#receive(frame);
  }

  /** @param {Attempt} attempt @param {import("./links.js").End} end */
  #end(attempt, end) {
    if (attempt === this.#candidate) this.#giveUpCandidate();
    else if (attempt === this.#attempt) this.#closed(end);
  }

  /** A dead link brings no close frame; the server's pings say how long silence may last. */
  #listen() {
    this.#heardAt = Date.now();
    this.#timers.set("silence", () => this.#closed({ code: 1006 }), this.#silenceMs);
    this.#timers.stop("late");
    if (this.#lateMs === Infinity) return;
    this.#timers.set("late", () => this.state === "live" && this.#setState("delayed", { reason: "silent" }), this.#lateMs);
  }

  /** @param {any} frame */
  #receive(frame) {
    this.#listen();
    if (frame.type === "welcome") this.#welcome(frame);
    else if (frame.type === "snapshot") this.#snapshot(frame);
    else if (frame.type === "records") this.#watchers.tell(this.#fold.apply(frame.records, epochOf(frame.place)));
    else if (frame.type === "ping") this.#send({ type: "pong" });
    else if (frame.type === "delayed") this.#setState("delayed", { reason: "server" });
    else if (frame.type === "subscribed") this.#questions.answered(frame);
    else if (frame.type === "refreshed") this.#renewBefore(frame.expires_in);
    else if (frame.type === "error") this.#questions.refused(frame);
    else if (frame.type === "closing") this.#closing = frame;
    if (typeof frame.place !== "string") return;
    // Last, so that a place is never ahead of what the fold holds.
    this.#place = frame.place;
    if (this.#liveSince) this.#setState(this.#ladder.polls ? "polling" : "live");
  }

  /** @param {{ping_seconds: number, expires_in: number}} frame */
  #welcome(frame) {
    this.#lateMs = frame.ping_seconds * 1000 + GRACE_MS;
    this.#silenceMs = 2 * frame.ping_seconds * 1000 + GRACE_MS;
    this.#listen();
    this.#renewBefore(frame.expires_in);
  }

  /** @param {{place: string, recovered: boolean, more: boolean, records: Record[]}} frame */
  #snapshot(frame) {
    this.#parts.push(...frame.records);
    if (frame.more) return; // only the last part has the place, and only the whole says what is absent
    const records = this.#parts.splice(0);
    const epoch = epochOf(frame.place);
    this.#watchers.tell(frame.recovered ? this.#fold.apply(records, epoch) : this.#fold.replace(records, epoch));
    if (!this.#liveSince) this.#climbLater();
    this.#liveSince ||= Date.now();
    this.#questions.ask();
  }

  /** @param {number} seconds until the server ends this connection */
  #renewBefore(seconds) {
    if (!this.#attempt?.link.send) return; // ends with 4100, and comes back with another ticket
    this.#timers.set("renewal", async () => {
      // Without a new ticket the server closes with 4100, which says the same.
      const granted = await this.#options.ticket().catch(() => null);
      if (granted) this.#send({ type: "refresh", ticket: granted.ticket });
    }, seconds * 800);
  }

  /** @param {import("./links.js").End} end */
  #closed(end) {
    const closing = this.#closing;
    const code = closing?.code ?? end.code;
    const blocked = this.#attempt?.heard === false && code < 4000 && code !== 1012;
    this.#drop();
    if (this.#liveSince && Date.now() - this.#liveSince > STEADY_MS) this.#tries = 0;
    this.#liveSince = 0;
    if (blocked) this.#ladder.noteFruitless();
    this.#plan(code, closing?.retry_after_ms ?? end.retryAfterMs, closing?.limit ?? end.limit, blocked);
  }

  /** @param {number} code @param {number} [retryAfterMs] @param {string} [limit] @param {boolean} [blocked] */
  #plan(code, retryAfterMs, limit, blocked) {
    const wait = waitAfter(code, this.#tries++, retryAfterMs);
    if (wait === null) {
      this.close();
      this.#options.onState?.("stopped", code, { reason: "", nextAt: null });
      return;
    }
    this.#waitOrdered = retryAfterMs !== undefined;
    const reason = reasonFor(code, limit, blocked);
    this.#setState(code === 4101 ? "refused" : "offline", { code, reason, nextAt: Date.now() + wait });
    this.#timers.set("retry", () => this.#open(), wait);
  }

  /** Back on the network, or back in front: no need to sit out a wait, or to trust a link that has gone quiet. */
  #wakeUp() {
    if (document.hidden || !navigator.onLine) return;
    if (this.#attempt) {
      const quiet = Date.now() - this.#heardAt > this.#silenceMs * 0.7;
      if (this.state !== "offline" && !quiet) return;
      this.#drop();
      this.#liveSince = 0;
      this.#open();
    } else if (this.#timers.has("retry") && !this.#waitOrdered) {
      this.#open();
    }
  }

  /** On a lower rung the best link is tried again now and then, beside the one that works. */
  #climbLater() {
    if (this.#ladder.onTop) return;
    this.#timers.set("climb", async () => {
      const granted = await this.#options.ticket().catch(() => null);
      if (!granted || this.#ended || this.#candidate || this.#ladder.onTop) return this.#climbLater();
      this.#candidate = this.#begin(granted, "openBest");
      this.#timers.set("climb", () => this.#giveUpCandidate(), FIRST_FRAME_MS);
    }, this.#ladder.nextClimbMs());
  }

  #giveUpCandidate() {
    this.#candidate?.link.close();
    this.#candidate = null;
    this.#climbLater();
  }

  /** @param {Attempt} attempt */
  #adopt(attempt) {
    this.#candidate = null;
    this.#drop();
    this.#attempt = attempt;
    this.#ladder.climb();
  }

  #drop() {
    this.#timers.stop("silence", "late", "renewal", "climb", "retry");
    this.#questions.clear();
    this.#parts = [];
    this.#closing = null;
    for (const attempt of [this.#attempt, this.#candidate]) attempt?.link.close();
    this.#attempt = this.#candidate = null;
  }

  /** @param {object} frame */
  #send(frame) {
    this.#attempt?.link.send?.(frame);
  }

  /** @param {State} state @param {{code?: number, reason?: string, nextAt?: number | null}} [why] */
  #setState(state, { code = 0, reason = "", nextAt = null } = {}) {
    this.state = state;
    const told = `${state} ${code} ${reason} ${nextAt}`;
    if (told === this.#told) return;
    this.#told = told;
    this.#options.onState?.(state, code, { reason, nextAt });
  }
}
