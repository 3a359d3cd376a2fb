// The view of students and parents: their lectures, and the videos that they can play.
//
// No ticket of a student names a video that is not ready yet. So the page watches the lectures: the record of a lecture
// changes when its videos have changed, and the page then reads that lecture's videos again.

import * as api from "../api.js";
import { element, whileDisabled } from "../dom.js";
import { sentenceFor } from "../sentences.js";
import { addWords, t } from "../strings.js";
import { MyLecture } from "./lecture.js";
import { WORDS } from "./words.js";

const MOST_TOPICS = 40; // that one ticket may name
const A_PAGE = MOST_TOPICS; // so that the lectures of the first page are the watched ones
const SPREAD_MS = 2000; // each page waits for a random time up to this, because a new video changes all pages at once

addWords(WORDS);

/** @typedef {import("./lecture.js").Facts} Facts */

export class View {
  /** @type {MyLecture[]} */
  #lectures = [];
  #pages = 0;
  /** Whether the API has more lectures than are shown. */
  #more = false;
  /** @type {(() => string) | null} */
  #said = null;
  /** @type {(() => string) | null} */
  #problem = null;
  /** Grows whenever the view is opened or left, so that late answers are dropped. */
  #visit = 0;
  #context;
  #heading = element("h1", { id: "my-title", tabindex: "-1" });
  #lead = element("p", { class: "lead" });
  #status = element("p", { class: "doing", role: "status" });
  #trouble = element("p", { class: "problem", role: "alert" });
  #none = element("p", { class: "none" });
  #limit = element("p", { class: "meta" });
  #list = element("div");
  #moreButton = element("button", { type: "button", class: "quiet" });

  /** @param {HTMLElement} node @param {import("../frame/screens.js").Context} context */
  constructor(node, context) {
    this.#context = context;
    node.append(this.#heading, this.#lead, this.#status, this.#trouble, this.#none, this.#list, this.#moreButton, this.#limit);
    this.#moreButton.addEventListener("click", () => whileDisabled(this.#moreButton, () => this.#try(() => this.#readMore())));
    this.render();
  }

  get title() {
    return t("my_title");
  }

  async show() {
    const visit = ++this.#visit;
    await this.#try(async () => {
      const first = await this.#read(1);
      if (visit !== this.#visit) return;
      this.#lectures = [];
      this.#list.replaceChildren();
      this.#pages = 0;
      await this.#append(first);
      if (visit === this.#visit) this.#watch();
    });
    this.render();
  }

  leave() {
    this.#visit += 1;
  }

  render() {
    this.#heading.textContent = t("my_title");
    this.#lead.textContent = t(this.#isParent ? "my_lead_parent" : "my_lead");
    this.#status.textContent = this.#pages || this.#problem ? this.#said?.() ?? "" : t("loading");
    this.#trouble.textContent = this.#problem?.() ?? "";
    this.#none.textContent = t("my_none");
    this.#none.hidden = this.#pages === 0 || this.#lectures.length > 0;
    this.#moreButton.textContent = t("my_more_lectures");
    this.#moreButton.hidden = !this.#more;
    this.#limit.textContent = this.#lectures.length > MOST_TOPICS ? t("my_too_many", { n: MOST_TOPICS }) : "";
    for (const lecture of this.#lectures) lecture.render();
  }

  get #isParent() {
    return this.#context.claims()?.role === "parent";
  }

  /** @param {number} page @returns {Promise<{results: Facts[], next: string | null}>} */
  #read(page) {
    return api.callJson(`/api/v1/my/lectures/?page_size=${A_PAGE}&page=${page}`);
  }

  async #readMore() {
    const visit = this.#visit;
    const answer = await this.#read(this.#pages + 1);
    if (visit !== this.#visit) return;
    const [first] = await this.#append(answer);
    first?.focus();
  }

  /** Shows the next page of lectures, with the videos of each. Returns the lectures that were not shown before.
   *  @param {{results: Facts[], next: string | null}} page */
  async #append({ results, next }) {
    const known = new Set(this.#lectures.map(({ facts }) => facts.id));
    const added = results.filter(({ id }) => !known.has(id)).map(
      (facts) => new MyLecture(facts, this.#isParent, (id) => this.#play(id), (error) => this.#failed(error)),
    );
    this.#lectures.push(...added);
    this.#list.append(...added.map(({ node }) => node));
    this.#pages += 1;
    this.#more = next !== null;
    this.render();
    await Promise.all(added.map((lecture) => lecture.read()));
    return added;
  }

  /** Opens the feed for the lectures, and follows their changes. */
  #watch() {
    const visit = this.#visit;
    const watched = this.#lectures.slice(0, MOST_TOPICS);
    const topicOf = (/** @type {MyLecture} */ { facts }) => `lecture:${facts.id}`;
    this.#context.live.open(watched.map(topicOf));
    for (const lecture of watched) {
      let known = lecture.facts.video_changes;
      this.#context.live.watch(topicOf(lecture), ({ attempt }) => {
        if (!(attempt > known)) return;
        known = attempt;
        setTimeout(() => visit === this.#visit && this.#refresh(lecture), SPREAD_MS * Math.random());
      });
    }
  }

  /** Reads a lecture and its videos again. @param {MyLecture} lecture */
  #refresh(lecture) {
    return this.#try(async () => {
      const [{ results }, added] = await Promise.all([this.#read(1), lecture.read()]);
      lecture.facts = results.find(({ id }) => id === lecture.facts.id) ?? lecture.facts;
      const sentences = added.map((name) => () => t("my_said_new", { lecture: lecture.facts.title, name }));
      if (sentences.length) this.#said = () => sentences.map((sentence) => sentence()).join(" ");
      this.render();
    });
  }

  /** @param {string} id */
  #play(id) {
    return this.#try(() => this.#context.play(id));
  }

  /** @param {() => Promise<void>} work */
  async #try(work) {
    this.#problem = null;
    try {
      await work();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** @param {unknown} error */
  #failed(error) {
    if (error instanceof api.ApiError && error.status === 401) return this.#context.failed(error);
    this.#problem = sentenceFor(error);
    this.render();
  }
}
