// One video on the page: its bar while it is encoded, then its picture and a button that plays it. While another video is to
// replace it, also the bar of that one.

import { Bar } from "../bar.js";
import { element } from "../dom.js";
import { addressOf } from "../frame/addresses.js";
import { isTerminal } from "../../realtime/client.js";
import { mayRetry } from "../jobs/deeds.js";
import { isReplacing, replacesText } from "../jobs/kinds.js";
import { explain, length, t, when } from "../strings.js";

/**
 * @typedef {import("../../realtime/client.js").Record} Record
 * @typedef {{title: string, hls_url: string | null, thumbnail_url: string | null, duration: number | null}} Playable
 * @typedef {{read(id: string): Promise<Playable>, play(id: string): void, cancel(id: string): Promise<void>,
 *   retry(id: string): Promise<void>, rename(id: string, name: string): Promise<void>, replace(id: string, name: string): void,
 *   ask(name: string, both: boolean): Promise<boolean>, remove(id: string): Promise<void>}} Deeds
 */

export class VideoCard {
  /** @type {Record} */
  #record;
  #deeds;
  #bar = new Bar();
  #link = element("a");
  #chip = element("span", { class: "chip" });
  #time = element("time");
  #picture = /** @type {HTMLImageElement} */ (element("img", { alt: "", class: "picture", width: "160", height: "90", loading: "lazy" }));
  #length = element("p", { class: "meta" });
  #play = element("button", { type: "button", class: "main" });
  #cancel = element("button", { type: "button", class: "quiet" });
  #retry = element("button", { type: "button", class: "quiet" });
  #rename = element("button", { type: "button", class: "quiet" });
  #replace = element("button", { type: "button", class: "quiet" });
  #remove = element("button", { type: "button", class: "quiet" });
  #problem = element("p", { class: "problem", role: "alert" });
  #hasPicture = false;
  #trouble = "";
  #about = element("p", { class: "meta about" });
  /** The video that is to replace this one. @type {Record | null} */
  #replacement = null;
  #replacementText = element("p");
  #replacementBar = new Bar();
  #replacementNode = element("div", { class: "replacement" }, this.#replacementText, this.#replacementBar.node);
  #ready = element("div", { class: "ready" }, this.#picture, element("div", {}, this.#length, this.#play));

  node = element(
    "li",
    { class: "card" },
    element("header", {}, element("h3", {}, this.#link), this.#chip, this.#time),
    this.#about, this.#bar.node, this.#ready, this.#replacementNode, this.#problem,
    this.#cancel, this.#retry, this.#rename, this.#replace, this.#remove,
  );

  /** @param {Record} record @param {Deeds} deeds */
  constructor(record, deeds) {
    this.#record = record;
    this.#deeds = deeds;
    this.#link.setAttribute("href", addressOf(record.topic));
    // A video may have no picture: its place stays grey.
    this.#picture.addEventListener("error", () => this.#picture.removeAttribute("src"));
    this.#play.addEventListener("click", () => deeds.play(this.#id));
    this.#cancel.addEventListener("click", () => this.#do(this.#cancel, deeds.cancel));
    this.#retry.addEventListener("click", () => this.#do(this.#retry, deeds.retry));
    this.#rename.addEventListener("click", async () => {
      await this.#do(this.#rename, (id) => deeds.rename(id, this.name));
      this.#rename.focus();
    });
    this.#replace.addEventListener("click", () => deeds.replace(this.#id, this.name));
    this.#remove.addEventListener("click", async () => {
      if (await deeds.ask(this.name, this.#replacement !== null)) await this.#do(this.#remove, deeds.remove);
    });
    this.update(record);
  }

  get #id() {
    return this.#record.topic.slice("video:".length);
  }

  get record() {
    return this.#record;
  }

  get name() {
    return this.#record.data?.title || t("unnamed_video");
  }

  /** @param {Record} record */
  update(record) {
    this.#bar.update(this.#record, record);
    this.#record = record;
    this.#trouble = "";
    if (record.status === "READY" && !this.#hasPicture) this.#showPicture();
    this.render();
  }

  /** Shows how far the video is that is to replace this one. @param {Record | null} record null: there is none */
  showReplacement(record) {
    const before = this.#replacement;
    if (record === before) return;
    this.#replacement = record;
    if (record && record.topic !== before?.topic) {
      const bar = new Bar();
      this.#replacementBar.node.replaceWith(bar.node);
      this.#replacementBar = bar;
    }
    if (record) this.#replacementBar.update(before?.topic === record.topic ? before : record, record);
    this.render();
  }

  /** Draws all texts again: after a change of the record or of the language. */
  render() {
    const { status, stalled, published_at: time, data, error } = this.#record;
    const ended = isTerminal(this.#record);
    this.node.dataset.status = stalled && !ended ? "STALLED" : status;
    this.#link.textContent = this.name;
    this.#chip.textContent = t(stalled && !ended ? "stalled" : status === "PROCESSING" ? "encoding" : status);
    this.#time.textContent = ended && time ? when(time) : "";
    this.#bar.render(this.#record, this.name, this.#chip.textContent);
    this.#ready.hidden = status !== "READY";
    this.#length.textContent = data?.duration ? length(data.duration) : "";
    this.#play.textContent = t("play");
    this.#play.setAttribute("aria-label", t("play_named", { name: this.name }));
    this.#cancel.hidden = ended;
    this.#cancel.textContent = t("cancel");
    this.#retry.hidden = !mayRetry(this.#record);
    this.#retry.textContent = t("retry");
    // A video that is to replace another has no title of its own.
    const replacing = isReplacing(this.#record);
    this.#about.hidden = !replacing;
    this.#about.textContent = replacing ? replacesText(this.#record) : "";
    this.#renderReplacement();
    this.#replace.hidden = !ended || replacing || this.#replacement !== null;
    this.#replace.textContent = t("replace");
    this.#replace.setAttribute("aria-label", t("replace_named", { name: this.name }));
    this.#rename.hidden = !ended || replacing;
    this.#rename.textContent = t("rename");
    this.#rename.setAttribute("aria-label", t("rename_named", { name: this.name }));
    this.#remove.hidden = !ended;
    this.#remove.textContent = t("delete");
    this.#remove.setAttribute("aria-label", t("delete_named", { name: this.name }));
    this.#problem.textContent = this.#trouble || (status === "FAILED" ? explain("error", error?.code ?? "internal", error?.message) : "");
  }

  #renderReplacement() {
    const record = this.#replacement;
    this.#replacementNode.hidden = !record;
    if (!record) return;
    const uploading = record.topic === "";
    this.#replacementText.textContent = t(uploading ? "replacement_uploading" : "replacement_running");
    const state = uploading ? "" : t(record.status === "PROCESSING" ? "encoding" : record.status);
    this.#replacementBar.render(record, t("replacement_of", { name: this.name }), state);
  }

  async #showPicture() {
    this.#hasPicture = true; // or soon: the same record may come from the API and from the feed
    try {
      const { thumbnail_url } = await this.#deeds.read(this.#id);
      if (thumbnail_url) this.#picture.src = thumbnail_url;
    } catch {
      this.#hasPicture = false; // the video plays without it
    }
  }

  /** @param {HTMLElement} button @param {(id: string) => Promise<void>} deed */
  async #do(button, deed) {
    button.setAttribute("disabled", "");
    this.#trouble = "";
    try {
      await deed(this.#id);
    } catch (error) {
      const { code, message } = /** @type {{code: string, message: string}} */ (error);
      this.#trouble = explain("error", code, message);
    }
    button.removeAttribute("disabled");
    this.render();
  }
}
