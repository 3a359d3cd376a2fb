// The state of the connection. The page shows it at once, with the seconds to the next attempt. Screen readers announce
// a state only if it lasts.

import { stateFor, t } from "../strings.js";

const LASTS_MS = 3000;
const SECOND_MS = 1000;
const WAITING = ["offline", "refused"]; // states that wait for the next attempt: a button makes it at once

/** @typedef {{state: string, reason: string, nextAt: number | null}} Shown */

export class ConnectionLine {
  /** @type {Shown} */
  #shown = { state: "connecting", reason: "", nextAt: null };
  #spoken = "";
  #speak = 0;
  #nodes;

  /** @param {{line: HTMLElement, text: HTMLElement, next: HTMLElement, spoken: HTMLElement, reconnect: HTMLElement}} nodes
   *  @param {() => void} reconnect */
  constructor(nodes, reconnect) {
    this.#nodes = nodes;
    nodes.reconnect.addEventListener("click", () => {
      nodes.line.focus(); // the button disappears, and the line shows the result
      reconnect();
    });
    setInterval(() => this.#count(), SECOND_MS);
  }

  /** @param {Shown | null} shown null: there is no connection, so nothing is shown */
  show(shown) {
    this.#nodes.line.hidden = !shown;
    this.#shown = shown ?? { state: "connecting", reason: "", nextAt: null };
    this.#nodes.line.dataset.state = this.#shown.state;
    this.#nodes.line.dataset.reason = this.#shown.reason;
    if (!shown) this.#spoken = this.#nodes.spoken.textContent = "";
    this.render();
    clearTimeout(this.#speak);
    // Do not announce "connecting": what follows is announced. The first "live" is expected.
    if (shown && shown.state !== "connecting") this.#speak = setTimeout(() => this.#say(), LASTS_MS);
  }

  /** Writes everything again, in the chosen language. */
  render() {
    this.#nodes.text.textContent = stateFor(this.#shown.state, this.#shown.reason);
    this.#nodes.reconnect.hidden = !WAITING.includes(this.#shown.state) && this.#shown.reason !== "silent";
    this.#count();
  }

  #count() {
    const { nextAt } = this.#shown;
    const seconds = nextAt === null ? 0 : Math.ceil((nextAt - Date.now()) / SECOND_MS);
    this.#nodes.next.textContent = seconds > 0 ? `· ${t("next_attempt", { seconds })}` : "";
  }

  #say() {
    const said = `${this.#shown.state} ${this.#shown.reason}`;
    if (said === this.#spoken) return;
    if (this.#spoken || this.#shown.state !== "live") this.#nodes.spoken.textContent = this.#nodes.text.textContent;
    this.#spoken = said;
  }
}
