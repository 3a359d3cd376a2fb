// Announces to screen readers that jobs begin, stall and end. Of many sentences at once, it announces only the number.

import { isTerminal } from "../../realtime/client.js";
import { endingOf, nameOf } from "../jobs/kinds.js";
import { t } from "../strings.js";

const GATHER_MS = 500;
const PAUSE_MS = 3000; // between two announcements
const MOST = 3;

/** @typedef {import("../../realtime/client.js").Record} Record */

export class Speaker {
  /** Whether changes are announced. False until the feed is live, because the first records are not changes. */
  speaking = false;
  /** @type {string[]} */
  #waiting = [];
  /** Whether an announcement is due. */
  #due = false;
  #spokeAt = 0;
  #node;

  /** @param {HTMLElement} node a live region */
  constructor(node) {
    this.#node = node;
  }

  /** @param {Record | null} before @param {Record} record */
  note(before, record) {
    const name = nameOf(record);
    if (record.data?.deleted) {
      if (before && !record.data.replaced_by) this.#say(t("said_deleted", { name })); // the end of the new video says it
    } else if (isTerminal(record)) {
      if (before && !isTerminal(before)) this.#say(endingOf(record));
    } else if (!before) {
      this.#say(t("said_started", { name }));
    } else if (record.stalled && !before.stalled) {
      this.#say(t("said_stalled", { name }));
    }
  }

  clear() {
    this.speaking = false;
    this.#waiting = [];
    this.#node.textContent = "";
  }

  /** @param {string} sentence */
  #say(sentence) {
    if (!this.speaking) return;
    this.#waiting.push(sentence);
    if (this.#due) return;
    this.#due = true;
    setTimeout(() => this.#speak(), Math.max(GATHER_MS, this.#spokeAt + PAUSE_MS - Date.now()));
  }

  #speak() {
    this.#due = false;
    if (this.#waiting.length === 0) return; // somebody has signed out
    this.#spokeAt = Date.now();
    const said = this.#waiting.length > MOST ? t("said_many", { n: this.#waiting.length }) : this.#waiting.join(" ");
    this.#waiting = [];
    this.#node.textContent = said;
  }
}
