// A lecture on the page of a student or parent: its videos, the newest first.

import * as api from "../api.js";
import { cell, element } from "../dom.js";
import { length, t, when } from "../strings.js";

const PAGE = 24;

/** @typedef {{id: number, title: string, description: string, students: string[], video_count: number, video_changes: number}} Facts
 *  @typedef {import("../videos/videos.js").Video & {session_title: string}} Video */

export class MyLecture {
  /** @type {Video[]} */
  #videos = [];
  #pages = 0;
  /** Whether the API has more videos than are shown. */
  #more = false;
  /** The videos that came while the page was open. @type {Set<number>} */
  #new = new Set();
  /** The nodes of the videos, so that a change of one does not take the focus from another. @type {Map<number, HTMLElement>} */
  #nodes = new Map();
  #play;
  #failed;
  #namesChildren;
  #title = element("h2", { tabindex: "-1" });
  #about = element("p", { class: "meta facts" });
  #description = element("p", { class: "description" });
  #none = element("p", { class: "none" });
  #list = element("ul", { class: "films" });
  #moreButton = element("button", { type: "button", class: "quiet" });
  node = element("section", { class: "my-lecture" }, this.#title, this.#about, this.#description, this.#none, this.#list, this.#moreButton);

  /** @param {Facts} facts @param {boolean} namesChildren whether it is shown who attends the lecture
   *  @param {(id: string) => void} play @param {(error: unknown) => void} failed */
  constructor(facts, namesChildren, play, failed) {
    this.facts = facts;
    this.#namesChildren = namesChildren;
    this.#play = play;
    this.#failed = failed;
    this.#title.id = `my-lecture-${facts.id}`;
    this.node.setAttribute("aria-labelledby", this.#title.id);
    this.#moreButton.addEventListener("click", () => this.#readMore());
  }

  /** Reads the newest videos. Returns the titles of the videos that are new. @returns {Promise<string[]>} */
  async read() {
    const first = this.#pages === 0;
    const { results, next } = await this.#page(1);
    const known = new Set(this.#videos.map(({ id }) => id));
    const added = /** @type {Video[]} */ (results).filter(({ id }) => !known.has(id));
    if (!first) for (const { id } of added) this.#new.add(id);
    this.#videos = results;
    this.#pages = 1;
    this.#more = next !== null;
    this.render();
    return first ? [] : added.map(({ title }) => title);
  }

  /** Moves the focus to the title. */
  focus() {
    this.#title.focus();
  }

  /** Writes everything again, in the chosen language. */
  render() {
    const { title, description, students, video_count: n } = this.facts;
    this.#title.textContent = title;
    const about = [n ? t("my_videos", { n }) : "", this.#namesChildren ? t("my_children", { names: students.join(", ") }) : ""];
    this.#about.replaceChildren(...about.filter(Boolean).map((text) => cell("span", text)));
    this.#description.textContent = description;
    this.#none.textContent = t("my_no_videos");
    this.#none.hidden = this.#pages === 0 || this.#videos.length > 0;
    this.#moreButton.textContent = t("my_more");
    this.#moreButton.hidden = !this.#more;
    const nodes = this.#videos.map((video) => this.#film(video));
    for (const old of [...this.#list.children]) if (!nodes.includes(/** @type {HTMLElement} */ (old))) old.remove();
    nodes.forEach((node, index) => {
      if (this.#list.children[index] !== node) this.#list.insertBefore(node, this.#list.children[index] ?? null);
    });
  }

  /** @param {number} page */
  #page(page) {
    return api.callJson(`/media/videos/?lecture=${this.facts.id}&page_size=${PAGE}&page=${page}`);
  }

  async #readMore() {
    this.#moreButton.setAttribute("disabled", "");
    try {
      const page = this.#pages + 1;
      const { results, next } = await this.#page(page);
      if (page === this.#pages + 1) this.#append(results, next !== null); // else everything was read again meanwhile
    } catch (error) {
      this.#failed(error);
    }
    this.#moreButton.removeAttribute("disabled");
  }

  /** @param {Video[]} videos the next page @param {boolean} more whether another one follows */
  #append(videos, more) {
    const known = new Set(this.#videos.map(({ id }) => id));
    const added = videos.filter(({ id }) => !known.has(id));
    this.#videos = [...this.#videos, ...added];
    this.#pages += 1;
    this.#more = more;
    this.render();
    if (added.length) this.#nodes.get(added[0].id)?.querySelector("button")?.focus();
  }

  /** The node of a video. @param {Video} video */
  #film({ id, title, duration, thumbnail_url, finished_at, created_at }) {
    const known = this.#nodes.get(id);
    const button = known?.querySelector("button") ?? element("button", { type: "button", class: "film" }, this.#picture(thumbnail_url), element("span", { class: "film-title" }), element("span", { class: "meta facts" }));
    const node = known ?? element("li", {}, button);
    if (!known) {
      button.addEventListener("click", () => this.#play(`${id}`));
      this.#nodes.set(id, node);
    }
    button.setAttribute("aria-label", t("play_named", { name: title }));
    button.children[1].textContent = title;
    const facts = [duration ? length(duration) : "", when(Date.parse(finished_at ?? created_at) / 1000)].filter(Boolean).map((text) => cell("span", text));
    if (this.#new.has(id)) facts.unshift(cell("span", t("my_new"), { class: "chip new" }));
    button.children[2].replaceChildren(...facts);
    return node;
  }

  /** @param {string | null} address */
  #picture(address) {
    const picture = element("img", { alt: "", class: "picture", width: "320", height: "180", loading: "lazy", ...(address && { src: address }) });
    // A video may have no picture, or its address may have expired: the place stays grey.
    picture.addEventListener("error", () => picture.removeAttribute("src"));
    return picture;
  }
}
