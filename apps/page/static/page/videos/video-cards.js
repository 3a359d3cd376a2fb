// The list of videos. The card of a video shows that another one is to replace it, which takes its place in the list later.

import { isTerminal } from "../../realtime/client.js";
import { Cards } from "../cards.js";
import { VideoCard } from "./video-card.js";

/** @typedef {import("../../realtime/client.js").Record} Record */

export class VideoCards extends Cards {
  /** The videos that are to replace others, by the topics of those. @type {Map<string, Record>} */
  #replacements = new Map();

  /** @param {Record} record */
  show(record) {
    const { topic, status, data } = record;
    if (data?.replaced_by) this.takePlace(`video:${data.replaced_by}`, topic);
    super.show(record);
    this.#showReplacement(topic);
    if (!data?.replaces) return;
    const old = `video:${data.replaces}`;
    if (status === "READY") this.takePlace(topic, old);
    if (!isTerminal(record)) this.#replacements.set(old, record);
    else if (this.#replacements.get(old)?.topic === topic) this.#replacements.delete(old);
    this.#showReplacement(old);
  }

  /** Shows that this tab uploads a replacement. @param {string} id of the video that is replaced
   *  @param {number | null} percent null: the upload has ended */
  uploading(id, percent) {
    const old = `video:${id}`;
    const progress = { percent: percent ?? 0, step: null, remaining_seconds: null };
    if (percent !== null) this.#replacements.set(old, { offset: 0, topic: "", attempt: 1, status: "PENDING", data: null, error: null, published_at: 0, progress });
    else if (this.#replacements.get(old)?.topic === "") this.#replacements.delete(old);
    this.#showReplacement(old);
  }

  clear() {
    this.#replacements.clear();
    super.clear();
  }

  /** @param {string} topic of the video that is replaced */
  #showReplacement(topic) {
    const card = this.card(topic);
    if (card instanceof VideoCard) card.showReplacement(this.#replacements.get(topic) ?? null);
  }
}
