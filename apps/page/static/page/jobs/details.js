// Asks the API for what the feed does not say of jobs. New ones are gathered, so that many of them cost one request.

import * as api from "../api.js";
import { detailOf as videoDetailOf, recordOf as videoRecordOf } from "../videos/videos.js";
import { detailOf, recordOf } from "../imports/imports.js";

const GATHER_MS = 1500;
const SINGLY = 5; // up to this number, jobs are requested one by one; for more, the list of the newest is requested

/**
 * @typedef {import("./register.js").Detail} Detail
 * @typedef {import("../../realtime/client.js").Record} Record
 * @typedef {{topic: string, record: Record, detail: Detail, whole: any}} Answer
 */

/** @param {any} job @returns {Answer} */
const jobAnswer = (job) => ({ topic: `job:${job.job_id}`, record: recordOf(job), detail: detailOf(job), whole: job });
/** @param {any} video @returns {Answer} */
const videoAnswer = (video) => ({ topic: `video:${video.id}`, record: videoRecordOf(video), detail: videoDetailOf(video), whole: video });

/** The newest jobs and videos. @returns {Promise<Answer[]>[]} */
export function readNewest() {
  return [
    api.callJson("/api/v1/jobs/?page=1").then(({ results }) => results.map(jobAnswer)),
    api.callJson("/media/videos/?page=1").then(({ results }) => results.map(videoAnswer)),
  ];
}

/** One job or video; null if there is none, or if the API does not know its kind. @param {string} topic
 *  @returns {Promise<Answer | null>} */
export async function readOne(topic) {
  try {
    return await ask(topic);
  } catch (error) {
    if (error instanceof api.ApiError && error.status === 404) return null;
    throw error;
  }
}

/** As `readOne`, but a job or video that does not exist is an ApiError. @param {string} topic @returns {Promise<Answer | null>} */
export async function ask(topic) {
  const [kind, id] = topic.split(":");
  if (kind !== "job" && kind !== "video") return null;
  const path = kind === "job" ? "/api/v1/jobs/" : "/media/videos/";
  const answer = await api.callJson(`${path}${encodeURIComponent(id)}/`);
  return kind === "job" ? jobAnswer(answer) : videoAnswer(answer);
}

export class Details {
  /** Topics, and whether to ask for those that are known, too. @type {Map<string, boolean>} */
  #wanted = new Map();
  #timer = 0;
  #onAnswer;
  #isKnown;

  /** @param {(answer: Answer) => void} onAnswer @param {(topic: string) => boolean} isKnown */
  constructor(onAnswer, isKnown) {
    this.#onAnswer = onAnswer;
    this.#isKnown = isKnown;
  }

  /** Asks for a job soon, or once somebody looks at the tab. @param {string} topic @param {boolean} again even if it is known */
  want(topic, again) {
    if (!topic.startsWith("job:")) return;
    this.#wanted.set(topic, again || this.#wanted.get(topic) === true);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), GATHER_MS * (1 + Math.random()));
  }

  clear() {
    this.#wanted.clear();
    clearTimeout(this.#timer);
  }

  async #ask() {
    if (document.hidden) return addEventListener("visibilitychange", () => this.#ask(), { once: true });
    const wanted = [...this.#wanted].filter(([topic, again]) => again || !this.#isKnown(topic)).map(([topic]) => topic);
    this.#wanted.clear();
    if (wanted.length === 0) return;
    try {
      const found = wanted.length > SINGLY ? await readNewest()[0] : [];
      const known = new Set(found.map(({ topic }) => topic));
      found.filter(({ topic }) => wanted.includes(topic)).forEach(this.#onAnswer);
      for (const topic of wanted.filter((one) => !known.has(one)).slice(0, SINGLY)) {
        const answer = await readOne(topic);
        if (answer) this.#onAnswer(answer);
      }
    } catch {
      // A convenience: without it, a card does not say who started the job.
    }
  }
}
