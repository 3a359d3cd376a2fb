// A job's own page: its state, its time line, its result, and what can be done about it.

import * as api from "../api.js";
import { Bar } from "../bar.js";
import { at, element } from "../dom.js";
import { writeTitle } from "../frame/title.js";
import { isTerminal } from "../../realtime/client.js";
import { explain, t } from "../strings.js";
import { Buttons } from "./buttons.js";
import { readOne } from "./details.js";
import { kindName, kindOf, nameOf, reasonOf, stateName, stateOf } from "./kinds.js";
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
  #onAnswer;
  #play;
  #body = at("job-body");
  #bar = new Bar();
  #buttons = new Buttons();
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
    this.#work = this.#trouble = this.#result = null;
  }

  /** What the title of the document says. */
  get title() {
    return this.#work ? nameOf(this.#work.record) : this.#trouble ? t("job_missing") : t("job_title");
  }

  /** Takes a change of the job that is shown. @param {Work} work */
  update(work) {
    if (work.topic !== this.topic) return;
    const before = this.#work?.record;
    if (work.record.status === "UNKNOWN") {
      if (!before) this.#trouble = () => t("job_missing_lead");
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
      const answer = await readOne(topic);
      if (topic !== this.topic) return;
      if (answer) {
        this.#result?.take(answer.whole);
        this.#onAnswer(answer);
      } else if (!this.#work && /^(job|video):/.test(topic)) {
        this.#trouble = () => t("job_missing_lead");
      }
    } catch (error) {
      if (topic !== this.topic || this.#work) return;
      const { code, message } = /** @type {api.ApiError} */ (error);
      this.#trouble = () => explain("error", code, message);
    }
    this.render();
  }

  /** Writes all texts: after a change of the job or of the language. */
  render() {
    const work = this.#work;
    at("job-title").textContent = this.title;
    writeTitle();
    at("job-problem").textContent = work ? "" : this.#trouble?.() ?? "";
    at("job-loading").hidden = work !== null || this.#trouble !== null;
    this.#body.hidden = !work;
    if (!work) return;
    const { record, detail } = work;
    const deleted = record.data?.deleted === true;
    const waiting = detail !== null && detail.sent === null && work.topic.startsWith("job:");
    const state = deleted ? t("deleted") : stateName(record, waiting);
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
}

/** @param {any} data */
function counted(data) {
  return data?.rows_total ? t("rows_done", { done: data.rows_done ?? 0, total: data.rows_total }) : "";
}
