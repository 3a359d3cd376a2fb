// The lessons of a lecture and their videos. The feed brings each change of a video.

import * as api from "../api.js";
import { cell, element, keepingFocus } from "../dom.js";
import { addressOf } from "../frame/addresses.js";
import { FormDialog } from "../parts/form-dialog.js";
import { length, t } from "../strings.js";
import { isOffice } from "./office.js";

const MOST = 200; // lessons or videos in one page of the API

/** @typedef {{id: number, title: string, order: number, video_count: number}} Lesson
 *  @typedef {import("../videos/videos.js").Video & {session_id: number}} Video */

export class Lessons {
  /** @type {Lesson[]} */
  #lessons = [];
  /** @type {Video[]} */
  #videos = [];
  #more = false;
  #loaded = false;
  #left = false;
  /** How often the lessons were asked for: the newest answer counts, also if an older one arrives later. */
  #asked = 0;
  /** The newest record of each video: what the API answers may be older. @type {Map<string, import("../../realtime/client.js").Record>} */
  #records = new Map();
  /** The change of the videos that is shown. */
  #changes = 0;
  #context;
  #id;
  #said;
  #heading = element("h2", { id: "lecture-lessons", tabindex: "-1" });
  #add = element("button", { type: "button" });
  #none = element("p", { class: "none" });
  #list = element("ol", { class: "lessons" });
  #rest = element("p", { class: "meta" });
  #adding;
  #renaming;
  /** The lesson that is being renamed. */
  #renamed = 0;
  /** @type {(() => void)[]} */
  #ends = [];
  node = element("section", { "aria-labelledby": "lecture-lessons" });

  /** @param {import("../frame/screens.js").Context} context @param {string} id @param {import("./students.js").Said} said */
  constructor(context, id, said) {
    this.#context = context;
    this.#id = id;
    this.#said = said;
    this.#add.hidden = !isOffice(context);
    this.#add.addEventListener("click", () => this.#addOne());
    this.node.append(element("div", { class: "above" }, this.#heading, this.#add), this.#none, this.#list, this.#rest);
    const fields = [{ name: "title", label: "lectures_lesson_title", attributes: { maxlength: "100", required: "" } }];
    const { failed } = context;
    this.#adding = new FormDialog(this.node, { title: "lectures_lesson_add", fields, failed, work: (json) => api.callJson(`${this.#path}lessons/`, { json }) });
    this.#renaming = new FormDialog(this.node, { title: "lectures_lesson_change", fields, failed, work: (json) => api.callJson(`/api/v1/lessons/${this.#renamed}/`, { method: "PATCH", json }) });
  }

  /** @param {{id: number, video_changes: number}} lecture */
  async show({ id, video_changes }) {
    this.#changes = video_changes;
    await this.#read();
    if (this.#left) return;
    this.#ends = [
      this.#context.live.watch(`lecture:${id}`, ({ attempt }) => {
        if (!(attempt > this.#changes)) return;
        this.#changes = attempt;
        this.#read();
        this.#said.counted();
      }),
      this.#context.live.watch("video:*", (record) => this.#follow(record)),
    ];
  }

  leave() {
    this.#left = true;
    for (const end of this.#ends) end();
    this.#ends = [];
  }

  render() {
    this.#heading.textContent = t("lectures_lessons");
    this.#add.textContent = t("lectures_lesson_add");
    this.#none.textContent = t("lectures_lessons_none");
    this.#none.hidden = !this.#loaded || this.#lessons.length > 0;
    this.#rest.textContent = this.#more ? t("lectures_all_videos") : "";
    keepingFocus(this.#list, () => this.#list.replaceChildren(...this.#lessons.map((lesson) => this.#lesson(lesson))));
    this.#adding.render();
    this.#renaming.render();
  }

  get #path() {
    return `/api/v1/lectures/${encodeURIComponent(this.#id)}/`;
  }

  async #read() {
    const asked = ++this.#asked;
    try {
      const [lessons, videos] = await Promise.all([
        api.callJson(`${this.#path}lessons/?page_size=${MOST}`),
        api.callJson(`/media/videos/?lecture=${encodeURIComponent(this.#id)}&page_size=${MOST}`),
      ]);
      if (asked !== this.#asked) return;
      this.#lessons = lessons.results;
      this.#videos = videos.results;
      for (const record of this.#records.values()) this.#update(record);
      this.#more = Boolean(lessons.next || videos.next);
      this.#loaded = true;
    } catch (error) {
      if (asked !== this.#asked) return;
      this.#said.failed(error);
    }
    this.render();
  }

  /** Takes the newest state of a video from the feed. @param {import("../../realtime/client.js").Record} record */
  #follow(record) {
    this.#records.set(record.topic, record);
    if (this.#update(record)) this.render();
  }

  /** Returns whether the record was news. @param {import("../../realtime/client.js").Record} record */
  #update({ topic, attempt, status, data }) {
    const video = this.#videos.find(({ id }) => topic === `video:${id}`);
    if (!video || status === "UNKNOWN" || attempt < video.attempt || (attempt === video.attempt && status === video.status)) return false;
    Object.assign(video, { attempt, status, title: data?.title ?? video.title, duration: data?.duration ?? video.duration });
    if (data?.deleted) this.#videos = this.#videos.filter((other) => other !== video);
    return true;
  }

  /** @param {Lesson} lesson */
  #lesson(lesson) {
    const { id, title } = lesson;
    const videos = this.#videos.filter(({ session_id }) => session_id === id);
    const shown = videos.length ? element("ul", {}, ...videos.map((video) => this.#video(video))) : cell("p", t("lectures_lesson_none"), { class: "meta" });
    const deeds = isOffice(this.#context) ? [this.#button("lectures_rename", title, () => this.#rename(lesson))] : [];
    if (deeds.length && lesson.video_count === 0) deeds.push(this.#button("lectures_delete", title, () => this.#delete(lesson)));
    return element("li", { class: "card", "data-row": `lesson-${id}` }, element("header", {}, cell("h3", title), element("span", { class: "deeds" }, ...deeds)), shown);
  }

  /** @param {Video} video */
  #video({ id, title, status, duration, replaces_id }) {
    const link = cell("a", title, { href: addressOf(`video:${id}`) });
    const parts = [link, cell("span", t(status === "PROCESSING" ? "encoding" : status), { class: "chip" })];
    if (replaces_id && status !== "READY") parts.push(cell("span", t("replacing"), { class: "meta" }));
    if (status === "READY" && duration) parts.push(cell("span", length(duration), { class: "meta" }));
    if (status === "READY") parts.push(this.#player(`${id}`, title));
    return element("li", { "data-status": status, "data-row": `video-${id}` }, ...parts);
  }

  /** @param {string} id @param {string} name */
  #player(id, name) {
    const button = cell("button", t("play"), { type: "button", class: "quiet", "aria-label": t("play_named", { name }) });
    button.addEventListener("click", () => this.#context.play(id).catch((error) => this.#said.failed(error)));
    return button;
  }

  /** @param {string} key @param {string} name @param {() => Promise<void>} work */
  #button(key, name, work) {
    const button = cell("button", t(key), { type: "button", class: "quiet", "aria-label": t(`${key}_named`, { name }), "data-deed": key });
    button.addEventListener("click", () => work().catch((error) => this.#said.failed(error)));
    return button;
  }

  async #addOne() {
    const made = await this.#adding.open();
    this.#add.focus();
    if (!made) return;
    this.#said.done(() => t("lectures_saved"));
    await this.#read();
  }

  /** @param {Lesson} lesson */
  async #rename({ id, title }) {
    this.#renamed = id;
    if (await this.#renaming.open({ title })) {
      this.#said.done(() => t("lectures_saved"));
      await this.#read();
    }
    /** @type {HTMLElement | null} */ (this.#list.querySelector(`[data-row="lesson-${id}"] [data-deed=lectures_rename]`))?.focus();
  }

  /** @param {Lesson} lesson */
  async #delete({ id, title }) {
    if (!(await this.#context.ask("lectures_ask_lesson", { name: title }))) return;
    await api.call(`/api/v1/lessons/${id}/`, { method: "DELETE" });
    this.#heading.focus();
    this.#said.done(() => t("lectures_deleted"));
    await this.#read();
  }
}
