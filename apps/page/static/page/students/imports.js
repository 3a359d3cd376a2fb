// Notices imports of the academy that end while the list of students is shown.

import { isTerminal } from "../../realtime/client.js";
import { kindOf } from "../jobs/kinds.js";

export class Imports {
  /** The topics of imports that were running. @type {Set<string>} */
  #running = new Set();
  /** @type {() => void} */
  #unwatch = () => undefined;
  #live;
  #onEnd;

  /** @param {import("../jobs/live.js").Live} live @param {() => void} onEnd */
  constructor(live, onEnd) {
    this.#live = live;
    this.#onEnd = onEnd;
  }

  watch() {
    this.leave();
    let known = true; // The feed first repeats what it knows.
    this.#unwatch = this.#live.watch("job:*", (record) => {
      const isImport = kindOf(record) === "excel_parsing";
      if (!isTerminal(record)) {
        if (isImport) this.#running.add(record.topic);
        return;
      }
      // Of a short import, the feed may bring only the end. Records of the API have no offset, and are no news.
      const isNews = isImport && !known && record.offset > 0 && this.#live.isLive;
      // A cancelled or failed import may have saved some rows, too.
      if (this.#running.delete(record.topic) || isNews) this.#onEnd();
    });
    known = false;
  }

  leave() {
    this.#unwatch();
    this.#running.clear();
  }
}
