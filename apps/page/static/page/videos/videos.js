// Videos of lectures: their cards, what their form does, and the player.

import * as api from "../api.js";
import { say } from "../sentences.js";
import { t } from "../strings.js";
import { VideoCard } from "./video-card.js";

const HLS = "application/vnd.apple.mpegurl";
const SHARED_MS = 2000;

/**
 * @typedef {import("../../realtime/client.js").Record} Record
 * @typedef {{id: number, title: string, status: string, attempt: number, duration: number | null, hls_path: string,
 *   hls_url: string | null, thumbnail_url: string | null, error_code: string | null, error_reason: string | null, lecture_id: number,
 *   created_at: string, finished_at: string | null, replaces_id: number | null, listed_at: string}} Video
 */

/** What the videos endpoints tell, as a record; `progress` the database does not know. @param {Video} video @returns {Record} */
export function recordOf(video) {
  return {
    offset: 0,
    topic: `video:${video.id}`,
    attempt: video.attempt,
    status: video.status,
    data: { title: video.title, hls_path: video.hls_path, duration: video.duration, ...(video.replaces_id && { replaces: video.replaces_id }) },
    error: video.status === "FAILED" ? { code: video.error_code ?? "internal", message: video.error_reason ?? "" } : null,
    published_at: Date.parse(video.finished_at ?? video.created_at) / 1000,
  };
}

/** @param {string} id @returns {Promise<Video>} */
export const readVideo = (id) => api.callJson(`/media/videos/${encodeURIComponent(id)}/`);

/** What they tell beyond the record. @param {Video} video @returns {import("../jobs/register.js").Detail} */
export function detailOf(video) {
  const ended = video.finished_at ? Date.parse(video.finished_at) / 1000 : null;
  const [began, listed] = [video.created_at, video.listed_at].map((time) => Date.parse(time) / 1000);
  return { by: null, began, listed, sent: null, ended, retryCanHelp: false };
}

/** @param {string} deed */
const doTo = (deed) => async (/** @type {string} */ id) => {
  await api.callJson(`/media/videos/${encodeURIComponent(id)}/${deed}/`, { method: "POST" });
};

/** Deletes a video. One that is deleted already is no error. @param {string} id */
async function remove(id) {
  try {
    await api.call(`/media/videos/${encodeURIComponent(id)}/`, { method: "DELETE" });
  } catch (error) {
    if (!(error instanceof api.ApiError && error.status === 404)) throw error;
  }
}

/** `removed` is called after this page has deleted a video, and `ask` before, to ask whether it should. `rename` asks for a title and
 *  gives it to a video. `replace` asks for the file of another one.
 *  @param {Pick<import("./video-card.js").Deeds, "play" | "rename" | "replace" | "ask">} asked
 *  @param {(id: string) => void} removed */
export function cardMaker(asked, removed) {
  const removeAndTell = (/** @type {string} */ id) => remove(id).then(() => removed(id));
  const deeds = { read: readVideo, cancel: doTo("cancel"), retry: doTo("retry"), remove: removeAndTell, ...asked };
  return (/** @type {Record} */ record) => (record.topic.startsWith("video:") ? new VideoCard(record, deeds) : null);
}

/** Sends a video; the first word on it. @param {File} file @param {import("./broken-upload.js").Place} place
 *  @param {(percent: number) => void} onPercent @returns {Promise<Record>} */
export async function upload(file, place, onPercent) {
  const body = new FormData();
  const { title, lecture, replaces } = place;
  for (const [name, value] of Object.entries(replaces ? { replaces } : { title, lecture })) body.append(name, value);
  body.append("file", file);
  return { ...recordOf(await api.upload("/media/videos/", body, onPercent)), progress: null };
}

/** @typedef {{id: number, title: string, student_count: number}} Lecture */

/** The answer that those who ask at the same moment share: the form of videos, and a view that opens with the page.
 *  @type {{session: string | undefined, found: Promise<Lecture[]>} | null} */
let asked = null;

/** @returns {Promise<Lecture[]>} */
export function lectures() {
  const session = api.signedIn()?.session;
  if (asked && asked.session === session) return asked.found;
  const found = api.callJson("/api/v1/lectures/?active=true&page_size=200").then(({ results }) => results);
  const question = { session, found };
  asked = question;
  setTimeout(() => { if (asked === question) asked = null; }, SHARED_MS);
  return found;
}

/** Plays a video in the dialog; its address is asked for at each play, since it is good for some hours only. */
export class Player {
  #dialog;
  #video;
  #title;
  /** @type {{destroy(): void} | null} */
  #hls = null;

  /** @param {HTMLDialogElement} dialog */
  constructor(dialog) {
    this.#dialog = dialog;
    this.#video = /** @type {HTMLVideoElement} */ (dialog.querySelector("video"));
    this.#title = /** @type {HTMLElement} */ (dialog.querySelector("h2"));
    dialog.querySelector("button")?.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => this.#stop());
    this.#video.addEventListener("error", () => this.#fail());
  }

  /** @param {string} id */
  async play(id) {
    const { title, hls_url } = await readVideo(id);
    if (!hls_url) return;
    this.#title.textContent = title;
    this.#dialog.showModal();
    if (this.#video.canPlayType(HLS)) this.#video.src = hls_url;
    else await this.#playByScript(hls_url);
    await this.#video.play().catch(() => undefined); // a browser may want a click first: its controls are there
  }

  close() {
    if (this.#dialog.open) this.#dialog.close();
  }

  /** @param {string} address */
  async #playByScript(address) {
    const { default: Hls } = await import("../vendor/hls.light.min.mjs");
    const hls = new Hls({ enableWorker: false }); // a worker of its own would need a script from a blob
    hls.on("hlsError", (_, { fatal }) => { if (fatal) this.#fail(); });
    this.#hls = hls;
    hls.loadSource(address);
    hls.attachMedia(this.#video);
  }

  /** Says that there is no picture: the video cannot be loaded, or the browser cannot decode it. */
  #fail() {
    if (this.#dialog.open) say("player-problem", () => t("player_failed"));
  }

  #stop() {
    say("player-problem", null);
    this.#hls?.destroy();
    this.#hls = null;
    this.#video.pause();
    this.#video.removeAttribute("src");
    this.#video.load();
  }
}
