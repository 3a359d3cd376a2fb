// The moving part of a card: how far something is, as a bar, a number and a few words. It never goes back.

import { element } from "./dom.js";
import { isTerminal } from "../realtime/client.js";
import { t, wordFor } from "./strings.js";

/** @typedef {import("../realtime/client.js").Record} Record */

/** @param {number} seconds */
function remaining(seconds) {
  return seconds < 90 ? t("seconds_left", { n: Math.max(1, Math.round(seconds)) }) : t("minutes_left", { n: Math.round(seconds / 60) });
}

export class Bar {
  #percent = 0;
  /** Whether a feed has said how far it is: the database does not know. */
  #known = false;
  #fill = element("div", { class: "fill" });
  #bar = element("div", { class: "bar", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100" }, this.#fill);
  #share = element("strong", { class: "percent" });
  #meta = element("span", { class: "meta" });

  node = element("div", { class: "running" }, this.#bar, element("p", {}, this.#share, this.#meta));

  /** @param {Record} before @param {Record} record */
  update(before, record) {
    // The work of an attempt that died may be kept by the next one, so the bar waits for it; a new try after the end starts at 0.
    const again = record.attempt > before.attempt && before.status !== "PROCESSING";
    this.#percent = Math.max(again ? 0 : this.#percent, record.progress?.percent ?? 0);
    if (isTerminal(record) && (record.status === "DONE" || record.status === "READY")) this.#percent = 100;
    this.#known ||= record.progress !== undefined;
    // From not knowing to knowing the bar jumps; only real progress moves it.
    this.#fill.style.transition = before.progress ? "" : "none";
  }

  /** Draws all texts again. @param {Record} record @param {string} name @param {string} state @param {string} [counted] */
  render(record, name, state, counted = "") {
    const { progress, attempt, stalled } = record;
    this.node.hidden = isTerminal(record);
    if (this.node.hidden) return;
    // Rounded down: 100 % stands for done and for nothing else.
    const share = this.#known ? `${Math.floor(this.#percent)}%` : t("loading");
    const about = [
      progress?.step ? wordFor("step", progress.step.name) : "",
      counted,
      !stalled && progress?.remaining_seconds != null ? remaining(progress.remaining_seconds) : "",
      attempt > 1 ? t("attempt", { n: attempt }) : "",
    ].filter(Boolean).join(" · ");
    this.#bar.classList.toggle("unknown", !this.#known);
    this.#fill.style.transform = this.#known ? `translateX(${this.#percent - 100}%)` : "";
    this.#share.textContent = share;
    this.#meta.textContent = about;
    this.#bar.setAttribute("aria-label", t("progress_of", { name }));
    // Without a value it is an indeterminate bar.
    if (this.#known) this.#bar.setAttribute("aria-valuenow", `${Math.floor(this.#percent)}`);
    this.#bar.setAttribute("aria-valuetext", [share, state, about].filter(Boolean).join(", "));
  }
}
