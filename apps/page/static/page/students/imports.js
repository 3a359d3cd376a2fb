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
    this.#unwatch = this.#live.watch("job:*", (record) => {
      if (kindOf(record) === "excel_parsing" && !isTerminal(record)) this.#running.add(record.topic);
      // A cancelled or failed import may have saved some rows, too.
      else if (isTerminal(record) && this.#running.delete(record.topic)) this.#onEnd();
    });
  }

  leave() {
    this.#unwatch();
    this.#running.clear();
  }
}
