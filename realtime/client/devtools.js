// A panel for developers: what a feed receives, and the state of its connection. It is a custom element,
// <realtime-devtools>, which is defined when the first panel is made, so that this module can be imported on a server.

import { epochOf, isTerminal } from "./fold.js";

/**
 * @typedef {import("./feed.js").Feed} Feed
 * @typedef {import("./connection.js").Status} Status
 */

const NAME = "realtime-devtools";
const MAX_FRAMES = 50; // that are listed
const REFRESH_MS = 250;
const STYLE = `
:host { position: fixed; right: 8px; bottom: 8px; z-index: 2147483647; width: min(420px, calc(100vw - 16px)); max-height: 45vh;
  box-sizing: border-box; overflow: auto; padding: 8px 10px; border: 1px solid #555; border-radius: 6px; background: #16181d;
  color: #e8e8e8; font: 12px/1.5 ui-monospace, monospace; }
dl { display: grid; grid-template-columns: auto 1fr; gap: 0 12px; margin: 6px 0; }
dt { color: #a9b0bd; }
dd { margin: 0; }
dd, li { overflow-wrap: anywhere; }
ol { margin: 0; padding: 6px 0 0; list-style: none; border-top: 1px solid #444; }
button { padding: 1px 8px; border: 1px solid #666; border-radius: 4px; background: #333842; color: inherit; font: inherit; }
`;

/**
 * Shows a panel for a feed at the end of the page. Returns a function that removes it.
 * @param {Feed} feed @param {{parent?: Element}} [options] `parent` gets the panel, instead of the page's body
 */
export function showDevtools(feed, { parent = document.body } = {}) {
  if (!customElements.get(NAME)) customElements.define(NAME, panelClass());
  const panel = /** @type {HTMLElement & {feed: Feed}} */ (document.createElement(NAME));
  panel.feed = feed;
  parent.append(panel);
  return () => panel.remove();
}

/** Counts what a feed receives. */
class Traffic {
  frames = 0;
  received = 0;
  /** How many offsets came without a record: a newer record had replaced theirs before it was sent, or this user may
   *  not see their topic. */
  skipped = 0;
  place = "";
  /** @type {string[]} a line for each of the newest frames, the newest first */
  lines = [];

  /** @param {any} frame */
  take(frame) {
    const count = Array.isArray(frame.records) ? frame.records.length : null;
    this.frames += 1;
    this.received += count ?? 0;
    if (typeof frame.place === "string") this.#advance(frame, count ?? 0);
    const words = [new Date().toLocaleTimeString(), frame.type];
    if (count !== null) words.push(`${count} ${count === 1 ? "record" : "records"}`);
    if (frame.recovered) words.push("recovered");
    if (frame.code) words.push(String(frame.code));
    this.lines = [words.join(" "), ...this.lines].slice(0, MAX_FRAMES);
  }

  /** @param {any} frame @param {number} count */
  #advance({ type, place }, count) {
    if (type !== "snapshot" && epochOf(place) === epochOf(this.place)) {
      this.skipped += Math.max(0, offsetOf(place) - offsetOf(this.place) - count);
    }
    this.place = place;
  }
}

/** The offset in a place, `epoch.offset.filter`. @param {string} place */
function offsetOf(place) {
  return Number(place.split(".").at(-2));
}

/** @param {Status} status */
function inWords({ state, code, reason, nextAt, attempt }) {
  const words = [state, reason, code ? `code ${code}` : "", attempt ? `attempt ${attempt}` : ""].filter(Boolean);
  if (nextAt) words.push(`next in ${Math.max(0, Math.ceil((nextAt - Date.now()) / 1000))} s`);
  return words.join(", ");
}

/** @param {string} tag @param {string} text */
function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

function panelClass() {
  return class extends HTMLElement {
    /** @type {Feed | null} */
    feed = null;
    #traffic = new Traffic();
    #list = document.createElement("dl");
    #frames = document.createElement("ol");
    /** @type {(() => void)[]} */
    #ends = [];

    connectedCallback() {
      const { feed } = this;
      if (!feed) return;
      if (!this.shadowRoot) this.#build(feed);
      const timer = setInterval(() => this.#show(feed), REFRESH_MS);
      this.#ends = [feed.on("frame", (frame) => this.#traffic.take(frame)), () => clearInterval(timer)];
      this.#show(feed);
    }

    disconnectedCallback() {
      for (const end of this.#ends) end();
      this.#ends = [];
    }

    /** @param {Feed} feed */
    #build(feed) {
      const button = element("button", "Reconnect now");
      button.addEventListener("click", () => feed.reconnect());
      this.setAttribute("role", "complementary");
      this.setAttribute("aria-label", "Real-time feed");
      this.attachShadow({ mode: "open" }).append(element("style", STYLE), button, this.#list, this.#frames);
    }

    /** @param {Feed} feed */
    #show(feed) {
      const { frames, received, skipped, place, lines } = this.#traffic;
      const records = [...feed.records.values()];
      const rows = {
        state: inWords(feed.status),
        place,
        records: `${records.length}, ${records.filter((record) => !isTerminal(record)).length} unfinished`,
        received: `${received} records in ${frames} frames`,
        skipped: `${skipped} offsets`,
      };
      this.#list.replaceChildren(...Object.entries(rows).flatMap(([name, text]) => [element("dt", name), element("dd", text)]));
      this.#frames.replaceChildren(...lines.map((line) => element("li", line)));
    }
  };
}
