// One job of any kind in the list: its state and progress, who started it, and what can be done about it.

import { addressOf } from "../frame/addresses.js";
import { Bar } from "../bar.js";
import { element } from "../dom.js";
import { isTerminal } from "../../realtime/client.js";
import { t, when } from "../strings.js";
import { Buttons } from "./buttons.js";
import { isReplacing, kindName, kindOf, nameOf, stateName, stateOf, summaryOf } from "./kinds.js";

/** @typedef {import("./register.js").Work} Work */

export class JobCard {
  /** @type {Work} */
  #work;
  #bar = new Bar();
  #link = element("a");
  #chip = element("span", { class: "chip" });
  #time = element("time");
  #about = element("p", { class: "meta about" });
  #summary = element("p");
  #buttons = new Buttons(this.#link);

  node = element(
    "li",
    { class: "card" },
    element("header", {}, element("h3", {}, this.#link), this.#chip, this.#time),
    this.#about, this.#bar.node, this.#summary, this.#buttons.node,
  );

  /** @param {Work} work */
  constructor(work) {
    this.#work = work;
    this.#link.setAttribute("href", addressOf(work.topic));
    this.update(work);
  }

  /** @param {Work} work */
  update(work) {
    this.#bar.update(this.#work.record, work.record);
    this.#work = work;
    this.render();
  }

  /** Writes all texts: after a change of the job or of the language. */
  render() {
    const { record, detail, began } = this.#work;
    const ended = isTerminal(record);
    const name = nameOf(record);
    const waiting = detail !== null && detail.sent === null && record.topic.startsWith("job:");
    const state = stateName(record, waiting);
    this.node.dataset.status = stateOf(record);
    this.#link.textContent = name;
    this.#chip.textContent = state;
    const at = ended ? detail?.ended ?? record.published_at ?? began : began;
    this.#time.textContent = when(at);
    this.#time.setAttribute("datetime", new Date(at * 1000).toISOString());
    const by = detail?.by ? t("started_by", { name: detail.by }) : "";
    this.#about.textContent = [kindName(kindOf(record)), isReplacing(record) ? t("replacing") : "", by].filter(Boolean).join(" · ");
    const { rows_done: done, rows_total: total } = record.data ?? {};
    this.#bar.render(record, name, state, total ? t("rows_done", { done: done ?? 0, total }) : "");
    const summary = ended ? summaryOf(record) : "";
    this.#summary.className = record.status === "FAILED" ? "problem" : "summary";
    this.#summary.textContent = summary;
    this.#buttons.render(this.#work);
  }
}
