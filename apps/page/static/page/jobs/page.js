// A job's own page: its state, its time line, its result, and what can be done about it.

import * as api from "../api.js";
import { Bar } from "../bar.js";
import { at, element } from "../dom.js";
import { addressOf } from "../frame/addresses.js";
import { writeTitle } from "../frame/title.js";
import { isTerminal } from "../../realtime/client.js";
import { explain, t } from "../strings.js";
import { Buttons } from "./buttons.js";
import { ask } from "./details.js";
import { isReplacing, kindName, kindOf, nameOf, reasonOf, replacesText, stateName, stateOf } from "./kinds.js";
import { Result } from "./result.js";
import { timeLine } from "./time-line.js";
import { factsOfJob } from "./job-facts.js";

/** @typedef {import("./register.js").Work} Work
 *  @typedef {import("./details.js").Answer} Answer */

export class JobPage {
  /** The job that is shown, or "". */
  topic = "";
  /** @type {Work | null} */
  #work = null;
  /** What went wrong, as a key of a sentence, or as the sentence of an error. @type {(() => string) | null} */
  #trouble = null;
  /** The video that has the place of the one that is shown, if no record says so. @type {number | null} */
  #replacedBy = null;
  #onAnswer;
  #play;
  #body = at("job-body");
  #bar = new Bar();
  #buttons = new Buttons(at("job-title"));
  /** @type {Result | null} */
  #result = null;

  /** @param {(answer: Answer) => void} onAnswer takes what the API says of the job @param {(id: string) => void} play */
  constructor(onAnswer, play) {
    this.#onAnswer = onAnswer;
    this.#play = play;
    at("job-bar").append(this.#bar.node);
    at("job-buttons").append(this.#buttons.node);
  }

  /** Shows a job. @param {string} topic @param {Work | undefined} work what is known of it already */
  open(topic, work) {
    if (topic === this.topic) return;
    this.close();
    this.topic = topic;
    this.#result = new Result(topic, this.#play);
    at("job-result").replaceChildren(this.#result.node);
    this.#bar = new Bar();
    at("job-bar").replaceChildren(this.#bar.node);
    if (work) this.update(work);
    else this.render();
    this.#read();
  }

  close() {
    this.topic = "";
    this.#work = this.#trouble = this.#result = this.#replacedBy = null;
  }

  /** What the title of the document says. */
  get title() {
    if (this.#work) return nameOf(this.#work.record);
    return this.#replacedBy ? t("replaced") : t(this.#trouble ? "job_missing" : "job_title");
  }

  /** Takes a change of the job that is shown. @param {Work} work */
  update(work) {
    if (work.topic !== this.topic) return;
    const before = this.#work?.record;
    if (work.record.status === "UNKNOWN") {
      if (!before) this.#trouble = () => this.#missing();
    } else {
      this.#work = work;
      this.#trouble = null;
      this.#bar.update(before ?? work.record, work.record);
      // The API adds the time of the end, a large result, and whether a retry can help.
      if (before && before !== work.record && isTerminal(work.record) && !isTerminal(before)) this.#read();
    }
    this.render();
  }

  async #read() {
    const topic = this.topic;
    try {
      const answer = await ask(topic);
      if (topic !== this.topic || !answer) return;
      this.#result?.take(answer.whole);
      this.#onAnswer(answer);
    } catch (error) {
      if (topic !== this.topic) return;
      const { status, code, message, replacedBy } = /** @type {api.ApiError} */ (error);
      this.#replacedBy = replacedBy;
      if (!this.#work) this.#trouble = () => (status === 404 ? this.#missing() : explain("error", code, message));
    }
    this.render();
  }

  #missing() {
    return t(this.#replacedBy ? "replaced_lead" : "job_missing_lead");
  }

  /** Writes all texts: after a change of the job or of the language. */
  render() {
    const work = this.#work;
    at("job-title").textContent = this.title;
    writeTitle();
    at("job-problem").textContent = work ? "" : this.#trouble?.() ?? "";
    at("job-loading").hidden = work !== null || this.#trouble !== null;
    this.#body.hidden = !work;
    this.#note(work?.record);
    if (!work) return;
    const { record, detail } = work;
    const gone = record.data?.replaced_by ? "replaced" : record.data?.deleted ? "deleted" : "";
    const waiting = detail !== null && detail.sent === null && work.topic.startsWith("job:");
    const state = gone ? t(gone) : stateName(record, waiting);
    at("job").dataset.status = stateOf(record);
    at("job-kind").textContent = kindName(kindOf(record));
    at("job-state").textContent = state;
    this.#bar.render(record, nameOf(record), state, counted(record.data));
    at("job-failure").textContent = record.status === "FAILED" ? reasonOf(record) : "";
    at("job-facts").replaceChildren(...factsOfJob(work).map(([term, value]) => {
      const pair = element("div", {}, element("dt"), element("dd"));
      pair.children[0].textContent = term;
      pair.children[1].textContent = value;
      return pair;
    }));
    at("job-line").replaceChildren(...timeLine(work));
    this.#buttons.render(work);
    this.#result?.render(work);
  }

  /** Says which video replaces the one that is shown, or is replaced by it, and links to it.
   *  @param {import("../../realtime/client.js").Record | undefined} record */
  #note(record) {
    const newer = record?.data?.replaced_by ?? this.#replacedBy;
    const older = record && isReplacing(record) && !record.data?.deleted ? record.data?.replaces : null;
    const other = newer ?? older;
    at("job-other").hidden = !other;
    if (!other) return;
    // Without a record, the reason why nothing else is shown says it already.
    at("job-other-text").textContent = older && record ? replacesText(record) : record ? t("replaced_lead") : "";
    const link = at("job-other-link");
    link.textContent = t(older ? "see_present_video" : "see_new_video");
    link.setAttribute("href", addressOf(`video:${other}`));
  }
}

/** @param {any} data */
function counted(data) {
  return data?.rows_total ? t("rows_done", { done: data.rows_done ?? 0, total: data.rows_total }) : "";
}
