// One import on the page: its bar, its counts, its failed rows.

import { Bar } from "../bar.js";
import { element } from "../dom.js";
import { addressOf } from "../frame/addresses.js";
import { isTerminal } from "../../realtime/client.js";
import { FailedRows } from "../jobs/failed-rows.js";
import { reasonOf } from "../jobs/kinds.js";
import { readFailedRows } from "../jobs/read-rows.js";
import { number, t, when } from "../strings.js";

/** @typedef {import("../../realtime/client.js").Record} Record */

const OUTCOMES = ["created", "restored", "existing", "failed"];

export class ImportCard {
  /** @type {Record} */
  #record;
  #fileName = "";
  #bar = new Bar();
  /** @type {{[outcome: string]: number} | null} */
  #counts = null;
  #link = element("a");
  #chip = element("span", { class: "chip" });
  #time = element("time");
  #tally = element("dl", { class: "counts" });
  #problem = element("p", { class: "problem" });
  #rows;

  node = element(
    "li",
    { class: "card" },
    element("header", {}, element("h3", {}, this.#link), this.#chip, this.#time),
    this.#bar.node, this.#tally, this.#problem,
  );

  /** @param {Record} record */
  constructor(record) {
    this.#record = record;
    this.#link.setAttribute("href", addressOf(record.topic));
    this.#rows = new FailedRows(`rows-${record.topic}`, readFailedRows(record.topic.slice("job:".length)));
    this.node.append(this.#rows.node);
    this.update(record);
  }

  get record() {
    return this.#record;
  }

  get name() {
    return this.#fileName || t("unnamed");
  }

  /** @param {Record} record */
  update(record) {
    this.#bar.update(this.#record, record);
    if (record.attempt > this.#record.attempt) {
      this.#counts = null;
      this.#rows.forget();
    }
    this.#record = record;
    this.#fileName = record.data?.file_name || this.#fileName;
    this.#counts = record.data?.result ?? this.#counts;
    if (record.status === "DONE" && !this.#counts) this.#readCounts();
    this.render();
  }

  /** Draws all texts again: after a change of the record or of the language. */
  render() {
    const { status, stalled, published_at: time, data } = this.#record;
    const stands = stalled && !isTerminal(this.#record);
    this.node.dataset.status = stands ? "STALLED" : status;
    this.#link.textContent = this.name;
    this.#chip.textContent = t(stands ? "stalled" : status);
    this.#time.textContent = isTerminal(this.#record) && time ? when(time) : "";
    const counted = data?.rows_total ? t("rows_done", { done: data.rows_done ?? 0, total: data.rows_total }) : "";
    this.#bar.render(this.#record, this.name, this.#chip.textContent, counted);
    this.#renderCounts();
    this.#problem.hidden = status !== "FAILED";
    this.#problem.textContent = status === "FAILED" ? reasonOf(this.#record) : "";
    this.#rows.render(this.#counts?.failed ?? 0);
  }

  #renderCounts() {
    const counts = this.#counts;
    this.#tally.hidden = !counts;
    if (!counts) return;
    this.#tally.replaceChildren(...OUTCOMES.map((outcome) => {
      const pair = element("div", { "data-outcome": outcome }, element("dt"), element("dd"));
      const [term, value] = pair.children;
      term.textContent = t(outcome);
      value.textContent = number(counts[outcome] ?? 0);
      if (!counts[outcome]) pair.classList.add("zero");
      return pair;
    }));
  }

  async #readCounts() {
    const answer = await this.#rows.load();
    if (!answer) return;
    this.#counts ??= answer.result;
    this.render();
  }
}
