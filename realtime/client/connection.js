// The connection to the server: ticket, link, place, back-off, close codes, and what state all this is in
// (docs/reference/realtime-protocol.md). It passes frames on and knows nothing of records.

import { Ladder } from "./ladder.js";
import { codeOf } from "./links.js";
import { Timers } from "./timers.js";
import { reasonFor, waitAfter } from "./waits.js";

const FIRST_FRAME_MS = 20_000;
const POLLS_SILENT_MS = 30_000;
const STEADY_MS = 20_000; // a connection that lasted longer was a good one: the next wait is short again
const GRACE_MS = 5000; // beyond the time of a ping

/**
 * @typedef {import("./links.js").Granted} Granted
 * @typedef {import("./frames.js").ServerFrame} ServerFrame
 * @typedef {"connecting" | "live" | "delayed" | "polling" | "offline" | "refused" | "stopped"} State
 *   live: frames arrive. delayed: the server cannot read the feed, or is late. polling: no link stays open here, so the
 *   client polls. offline, refused: nothing arrives, and there will be another attempt. stopped: there will be none.
 * @typedef {{state: State, code: number, reason: string, nextAt: number | null, attempt: number}} Status
 *   `code` is the last close code, or 0. `reason` is a word for each case, or "". `nextAt` is the time of the next
 *   attempt in Unix milliseconds. `attempt` counts the attempts since the last good connection.
 * @typedef {{heard: boolean, link: import("./links.js").Link}} Attempt
 * @typedef {{environment: import("./environment.js").Environment, ticket: () => Promise<Granted>, place: string,
 *   unfinished: () => boolean, onFrame: (frame: any) => void,
 *   onStatus: (status: Status) => void}} Options
 *   `onFrame` gets each frame of the server. The parts of a snapshot come as one frame, with `whole: true` if it has all
 *   that a new client is shown. `onStatus` may be called with the same status again.
 */

/** @type {Status} */
export const CONNECTING = { state: "connecting", code: 0, reason: "", nextAt: null, attempt: 0 };

export class Connection {
  status = CONNECTING;
  place;
  /** For how long nothing may arrive before the connection is given up, in milliseconds. */
  silenceMs = FIRST_FRAME_MS;
  /** @type {Attempt | null} the link that is open or being opened */
  #attempt = null;
  /** @type {Attempt | null} a better link that is tried beside the present one */
  #candidate = null;
  #ladder;
  /** @type {any[]} the parts of a snapshot that is not complete yet */
  #parts = [];
  #tries = 0;
  #liveSince = 0;
  #heardAt = 0;
  /** @type {import("./links.js").End | null} what the server has said about the end of the present link */
  #closing = null;
  #timers = new Timers();
  #options;

  /** @param {Options} options */
  constructor(options) {
    this.#options = options;
    this.place = options.place;
    this.#ladder = new Ladder(options.environment.storage);
    this.#open();
  }

  /** Sends a frame, or null if nothing can be sent on the present link. */
  get send() {
    return this.#attempt?.link.send ?? null;
  }

  /** Whether a snapshot has arrived on the present link. */
  get ready() {
    return this.#liveSince > 0;
  }

  close() {
    this.#drop();
    this.status = { ...this.status, state: "stopped" };
  }

  /** Connects now, whatever the state is. */
  reconnect() {
    if (this.#ended) return;
    this.#tries = 0;
    this.#begin();
  }

  /** The network is back, or somebody looks at the tab: end a wait, and do not trust a link that has been silent. */
  wake() {
    if (!this.#options.environment.online()) return;
    const silent = Date.now() - this.#heardAt > this.silenceMs * 0.7;
    if (this.#attempt ? silent || this.status.state === "offline" : this.#timers.has("retry")) this.#begin();
  }

  /** The network is gone. */
  lose() {
    if (!this.#ended) this.#setState("offline", { reason: "no_network" });
  }

  /** Connects from the beginning. */
  #begin() {
    this.#drop();
    this.#liveSince = 0;
    this.#open();
  }

  async #open() {
    this.#timers.set("ticket", () => this.#plan({ code: 1006 }), FIRST_FRAME_MS); // if no ticket comes
    if (this.#options.environment.online()) this.#setState("connecting");
    try {
      const granted = await this.#options.ticket();
      if (this.#ended || this.#attempt) return;
      this.#timers.stop();
      this.silenceMs = this.#ladder.polls ? POLLS_SILENT_MS : FIRST_FRAME_MS;
      this.#attempt = this.#link(granted);
      this.#listen();
    } catch (error) {
      const { status, retryAfterMs } = /** @type {{status?: number, retryAfterMs?: number}} */ (error ?? {});
      const code = status === 401 ? 4401 : codeOf(status);
      if (!this.#ended && !this.#attempt) this.#plan({ code, retryAfterMs });
    }
  }

  get #ended() {
    return this.status.state === "stopped";
  }

  /** @param {Granted} granted @param {boolean} [best] whether to open the best link, whatever the rung is */
  #link(granted, best = false) {
    const attempt = /** @type {Attempt} */ ({ heard: false });
    attempt.link = this.#ladder.open({
      granted,
      place: this.place,
      ticket: this.#options.ticket,
      unfinished: this.#options.unfinished,
      onFrame: (frame) => this.#hear(attempt, frame),
      onEnd: (end) => this.#end(attempt, end),
    }, best);
    return attempt;
  }

  /** @param {Attempt} attempt @param {ServerFrame} frame */
  #hear(attempt, frame) {
    if (attempt === this.#candidate && frame.type === "welcome") this.#adopt(attempt);
    if (attempt !== this.#attempt) return;
    this.#ladder.worked(!attempt.heard);
    attempt.heard = true;
    this.#receive(frame);
  }

  /** @param {Attempt} attempt @param {import("./links.js").End} end */
  #end(attempt, end) {
    if (attempt === this.#candidate) this.#giveUpCandidate();
    else if (attempt === this.#attempt) this.#closed(end);
  }

  /** Begins to wait for the next frame. A dead link sends no close frame, so silence has a limit. */
  #listen() {
    this.#heardAt = Date.now();
    this.#timers.set("silence", () => this.#closed({ code: 1006 }), this.silenceMs);
    this.#timers.set("late", () => {
      if (this.status.state === "live") this.#setState("delayed", { reason: "silent" });
    }, (this.silenceMs + GRACE_MS) / 2); // one ping and the grace
  }

  /** @param {ServerFrame} frame */
  #receive(frame) {
    if (frame.type === "welcome") this.silenceMs = 2000 * frame.ping_seconds + GRACE_MS;
    this.#listen();
    if ("expires_in" in frame) this.#renewBefore(frame.expires_in);
    else if (frame.type === "ping") this.send?.({ type: "pong" });
    else if (frame.type === "delayed") this.#setState("delayed", { reason: "server" });
    else if (frame.type === "closing") this.#closing = { ...frame, retryAfterMs: frame.retry_after_ms };
    else if (frame.type === "snapshot") {
      this.#parts.push(...frame.records);
      if (frame.more) return; // only the last part has the place, and only the whole shows what is absent
      frame = /** @type {any} */ ({ ...frame, records: this.#parts, whole: !frame.recovered });
      this.#parts = [];
      if (!this.#liveSince) this.#climbLater();
      this.#liveSince ||= Date.now();
    }
    this.#options.onFrame(frame);
    if (!("place" in frame && frame.place) || this.#ended) return;
    this.place = frame.place; // last, so that it is never ahead of the records that the tab has
    if (this.#liveSince) this.#setState(this.#ladder.polls ? "polling" : "live");
  }

  /** @param {number} seconds until the server ends this connection */
  #renewBefore(seconds) {
    if (!this.send) return; // the connection ends with 4100, and the next one has a new ticket
    this.#timers.set("renewal", async () => {
      // Without a new ticket the server closes with 4100, and the client gets one then.
      const granted = await this.#options.ticket().catch(() => null);
      if (granted) this.send?.({ type: "refresh", ticket: granted.ticket });
    }, seconds * 800);
  }

  /** @param {import("./links.js").End} end */
  #closed(end) {
    end = this.#closing ?? end;
    const blocked = this.#attempt?.heard === false && end.code < 4000 && end.code !== 1012;
    this.#drop();
    if (this.ready && Date.now() - this.#liveSince > STEADY_MS) this.#tries = 0;
    this.#liveSince = 0;
    if (blocked) this.#ladder.failed();
    this.#plan(end, blocked);
  }

  /** @param {import("./links.js").End} end @param {boolean} [blocked] */
  #plan({ code, retryAfterMs, limit }, blocked) {
    const wait = waitAfter(code, this.#tries++, retryAfterMs);
    if (wait === null) {
      this.#setState("stopped", { code });
      this.close();
      return;
    }
    const reason = reasonFor(code, this.#options.environment.online(), limit, blocked);
    this.#setState(code === 4101 ? "refused" : "offline", { code, reason, nextAt: Date.now() + wait });
    // Only a wait that the server has not asked for may end early.
    this.#timers.set(retryAfterMs === undefined ? "retry" : "ordered", () => this.#open(), wait);
  }

  /** On a lower rung, tries the best link from time to time beside the one that works. */
  #climbLater() {
    if (this.#ended || this.#ladder.onTop) return;
    this.#timers.set("climb", async () => {
      const granted = await this.#options.ticket().catch(() => null);
      if (!granted || this.#ended || this.#candidate || this.#ladder.onTop) return this.#climbLater();
      this.#candidate = this.#link(granted, true);
      this.#timers.set("climb", () => this.#giveUpCandidate(), FIRST_FRAME_MS);
    }, this.#ladder.waitMs());
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
    this.#timers.stop();
    this.#parts = [];
    this.#closing = null;
    for (const attempt of [this.#attempt, this.#candidate]) attempt?.link.close();
    this.#attempt = this.#candidate = null;
  }

  /** @param {State} state @param {Partial<Status>} [why] */
  #setState(state, why) {
    this.status = { ...CONNECTING, ...why, state, attempt: this.#tries };
    this.#options.onStatus(this.status);
  }
}
