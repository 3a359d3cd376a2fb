// The connection to the push engine: ticket, WebSocket, place, back-off, close codes. Section 7 of the contract.
// The product's client library will take this module's place, so it offers what that one will: `connect()`, `watch()`,
// `records`, `state`.

import { Fold, epochOf } from "./fold.js";

const BACKOFF_MIN_MS = 500;
const BACKOFF_MAX_MS = 20_000;
const WELCOME_MS = 15_000;
const STEADY_MS = 20_000;
const ASK_AT_ONCE = 100; // topics in one frame: below its 8 KiB, and half of what a connection may name

/**
 * @typedef {import("./fold.js").Record} Record
 * @typedef {"connecting" | "live" | "offline" | "stopped"} State
 * @typedef {{ticket: () => Promise<{ticket: string, websocket_url: string}>,
 *   resolve: (topic: string) => Promise<Record | null>, onState?: (state: State, code: number) => void}} Options
 */

/** Full jitter: anywhere up to a ceiling that doubles. @param {number} tries @param {() => number} [random] */
export function backoff(tries, random = Math.random) {
  return random() * Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** tries);
}

/**
 * What a close code asks for: null to stop, else the wait before the next connection.
 * @param {number} code @param {number} tries failures so far @param {number} [retryAfterMs] from `closing`
 * @param {() => number} [random] @returns {number | null}
 */
export function waitAfter(code, tries, retryAfterMs, random) {
  if (code >= 4400 && code <= 4499) return null;
  if (code === 1012 && retryAfterMs !== undefined) return retryAfterMs;
  if (code === 4100 && tries === 0) return 0; // only the ticket was old; each connection gets a new one
  return Math.max(backoff(tries, random), code === 4101 ? (retryAfterMs ?? 0) : 0);
}

/** @param {Options} options */
export function connect(options) {
  return new Feed(options);
}

export class Feed {
  /** @type {State} */
  state = "connecting";
  #fold = new Fold();
  /** @type {Set<{topic: string, tell: (record: Record) => void}>} */
  #watchers = new Set();
  /** @type {WebSocket | null} */
  #socket = null;
  #place = "";
  /** @type {Record[]} parts of a snapshot that is still coming */
  #parts = [];
  /** @type {Map<number, string[]>} questions by name that wait for their answer */
  #asked = new Map();
  /** @type {Set<string>} topics that the detail endpoint is being asked for */
  #resolving = new Set();
  #id = 0;
  #tries = 0;
  #liveSince = 0;
  #heardAt = 0;
  #silenceMs = WELCOME_MS;
  /** @type {{code: number, retry_after_ms?: number} | null} */
  #closing = null;
  /** @type {number | undefined} */
  #retry;
  /** @type {number | undefined} */
  #silence;
  /** @type {number | undefined} */
  #renewal;
  #waitOrdered = false;
  #options;
  #wake = () => this.#wakeUp();

  /** @param {Options} options */
  constructor(options) {
    this.#options = options;
    addEventListener("online", this.#wake);
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
    const watcher = { topic, tell };
    this.#watchers.add(watcher);
    for (const record of this.records.values()) if (topic === "*" || topic === record.topic) tell(record);
    return () => this.#watchers.delete(watcher);
  }

  /** Takes in what the HTTP API told; `prove` asks the feed for what is unfinished there and unknown here.
   *  @param {Record[]} records @param {{prove?: boolean}} [options] */
  learn(records, { prove = false } = {}) {
    this.#tell(this.#fold.learn(records));
    if (prove && this.state === "live") this.#ask();
  }

  close() {
    removeEventListener("online", this.#wake);
    document.removeEventListener("visibilitychange", this.#wake);
    this.#watchers.clear();
    this.#drop();
    clearTimeout(this.#retry);
    this.state = "stopped";
  }

  async #open() {
    this.#setState("connecting");
    let granted;
    try {
      granted = await this.#options.ticket();
    } catch (error) {
      const { status, retryAfterMs } = /** @type {{status?: number, retryAfterMs?: number}} */ (error);
      const code = status === 401 ? 4401 : status === 403 ? 4403 : retryAfterMs ? 4101 : 1006;
      if (this.state !== "stopped") this.#plan(code, retryAfterMs);
      return;
    }
    if (this.state === "stopped") return;
    const url = new URL(granted.websocket_url);
    url.searchParams.set("topics", "*");
    if (this.#place) url.searchParams.set("since", this.#place);
    const socket = new WebSocket(url, ["realtime.v1", `ticket.${granted.ticket}`]);
    this.#socket = socket;
    this.#silenceMs = WELCOME_MS;
    this.#listen();
    socket.onmessage = (event) => this.#receive(JSON.parse(event.data));
    socket.onclose = (event) => this.#closed(event.code);
  }

  /** A dead link brings no close frame; the server's pings say how long silence may last. */
  #listen() {
    this.#heardAt = Date.now();
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#closed(1006), this.#silenceMs);
  }

  /** @param {any} frame */
  #receive(frame) {
    this.#listen();
    if (frame.type === "welcome") this.#welcome(frame);
    else if (frame.type === "snapshot") this.#snapshot(frame);
    else if (frame.type === "records") this.#tell(this.#fold.apply(frame.records, epochOf(frame.place)));
    else if (frame.type === "ping") this.#send({ type: "pong" });
    else if (frame.type === "subscribed") this.#answered(frame);
    else if (frame.type === "refreshed") this.#renewBefore(frame.expires_in);
    else if (frame.type === "error") this.#refused(frame);
    else if (frame.type === "closing") this.#closing = frame;
    // Last, so that a place is never ahead of what the fold holds.
    if (typeof frame.place === "string") this.#place = frame.place;
  }

  /** @param {{ping_seconds: number, expires_in: number}} frame */
  #welcome(frame) {
    this.#silenceMs = 2 * frame.ping_seconds * 1000 + 5000;
    this.#listen();
    this.#renewBefore(frame.expires_in);
  }

  /** @param {{place: string, recovered: boolean, more: boolean, records: Record[]}} frame */
  #snapshot(frame) {
    this.#parts.push(...frame.records);
    if (frame.more) return; // only the last part has the place, and only the whole says what is absent
    const records = this.#parts.splice(0);
    const epoch = epochOf(frame.place);
    this.#tell(frame.recovered ? this.#fold.apply(records, epoch) : this.#fold.replace(records, epoch));
    this.#liveSince ||= Date.now();
    this.#setState("live");
    this.#ask();
  }

  /** Asks by name for what no feed has confirmed. */
  #ask() {
    const waiting = new Set([...this.#asked.values()].flat().concat(...this.#resolving));
    const topics = this.#fold.doubtful.filter((topic) => !waiting.has(topic));
    while (topics.length > 0) {
      const batch = topics.splice(0, ASK_AT_ONCE);
      this.#asked.set(++this.#id, batch);
      this.#send({ type: "subscribe", id: this.#id, topics: batch });
    }
  }

  /** @param {{id: number, place: string, records: Record[]}} frame */
  #answered(frame) {
    const answers = new Map(frame.records.map((record) => [record.topic, record]));
    const topics = this.#asked.get(frame.id) ?? [];
    for (const topic of topics) {
      const answer = answers.get(topic);
      if (!answer || answer.status === "UNKNOWN") this.#resolve(topic);
      else this.#tell([this.#fold.settle(topic, answer, epochOf(frame.place))]);
    }
    this.#asked.delete(frame.id);
    // `*` brings what follows; back to it alone, as its place is the one to come back with.
    if (topics.length > 0) this.#send({ type: "unsubscribe", id: ++this.#id, topics });
  }

  /** @param {{id?: number | null}} frame */
  #refused(frame) {
    const topics = this.#asked.get(frame.id ?? 0) ?? [];
    this.#asked.delete(frame.id ?? 0);
    for (const topic of topics) this.#resolve(topic);
  }

  /** The detail endpoint, once; again only where it could not answer. @param {string} topic @param {number} [tries] */
  async #resolve(topic, tries = 0) {
    this.#resolving.add(topic);
    try {
      const record = await this.#options.resolve(topic);
      this.#resolving.delete(topic);
      this.#tell([this.#fold.settle(topic, record, null)]);
    } catch {
      if (this.state !== "stopped") setTimeout(() => this.#resolve(topic, tries + 1), backoff(tries));
    }
  }

  /** @param {number} seconds until the server ends this connection */
  #renewBefore(seconds) {
    clearTimeout(this.#renewal);
    this.#renewal = setTimeout(async () => {
      // Without a new ticket the server closes with 4100, which says the same.
      const granted = await this.#options.ticket().catch(() => null);
      if (granted) this.#send({ type: "refresh", ticket: granted.ticket });
    }, seconds * 800);
  }

  /** @param {number} code */
  #closed(code) {
    const closing = this.#closing;
    this.#drop();
    if (this.#liveSince && Date.now() - this.#liveSince > STEADY_MS) this.#tries = 0;
    this.#liveSince = 0;
    this.#plan(code === 1006 && closing ? closing.code : code, closing?.retry_after_ms);
  }

  /** @param {number} code @param {number} [retryAfterMs] */
  #plan(code, retryAfterMs) {
    const wait = waitAfter(code, this.#tries++, retryAfterMs);
    if (wait === null) {
      this.close();
      this.#options.onState?.("stopped", code);
      return;
    }
    this.#waitOrdered = retryAfterMs !== undefined;
    this.#setState("offline", code);
    this.#retry = setTimeout(() => this.#open(), wait);
  }

  /** Back on the network, or back in front: no need to sit out a wait, or to trust a link that has gone quiet. */
  #wakeUp() {
    if (document.hidden || !navigator.onLine) return;
    if (this.state === "offline" && !this.#waitOrdered) {
      clearTimeout(this.#retry);
      this.#open();
    } else if (this.state === "live" && Date.now() - this.#heardAt > this.#silenceMs * 0.7) {
      this.#closed(1006);
    }
  }

  #drop() {
    clearTimeout(this.#silence);
    clearTimeout(this.#renewal);
    this.#asked.clear();
    this.#parts = [];
    this.#closing = null;
    if (!this.#socket) return;
    this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
    this.#socket = null;
  }

  /** @param {object} frame */
  #send(frame) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  /** @param {(Record | null)[]} records */
  #tell(records) {
    for (const record of records) {
      for (const { topic, tell } of this.#watchers) {
        if (record && (topic === "*" || topic === record.topic)) tell(record);
      }
    }
  }

  /** @param {State} state @param {number} [code] */
  #setState(state, code = 0) {
    this.state = state;
    this.#options.onState?.(state, code);
  }
}
