// An upload that a reload or a crash has broken off: which one it was, and whether it has arrived in spite of that.
//
// The storage takes a file as a whole, so an upload cannot go on in the middle. And no browser opens a file again by itself.
// So the page remembers what was uploaded, and offers to choose the same file again.

import * as api from "../api.js";
import * as storage from "../storage.js";

const KEY = "academy.upload";

/**
 * @typedef {{title: string, lecture: string, replaces?: string}} Place  Where the video goes. `replaces` is the id of the video that it is to replace.
 * @typedef {Place & {user: number, mark: string, name: string, size: number, changed: number, newest: number}} Note
 *   `newest` is the id of the newest video of the lecture when the upload began.
 * @typedef {import("./videos.js").Video & {file_name: string, size: number}} Video
 */

/** Runs an upload. If the page goes away meanwhile, `brokenUpload` finds what is noted here.
 *  @template T @param {File} file @param {Place} place @param {() => Promise<T>} work @returns {Promise<T>} */
export async function noted(file, place, work) {
  const newest = Math.max(0, ...(await newestVideos(place.lecture)).map(({ id }) => id));
  const mark = `${KEY}.${crypto.getRandomValues(new Uint32Array(2)).join("-")}`;
  /** @type {Note} */
  const note = { user: api.signedIn()?.user ?? 0, mark, name: file.name, size: file.size, changed: file.lastModified, ...place, newest };
  storage.write("sessionStorage", KEY, JSON.stringify(note)); // of this tab alone, and kept over a reload
  addEventListener("beforeunload", warn);
  const locked = navigator.locks ? (/** @type {() => Promise<T>} */ run) => navigator.locks.request(mark, run) : (/** @type {() => Promise<T>} */ run) => run();
  try {
    return await locked(work);
  } finally {
    removeEventListener("beforeunload", warn);
    forgetUpload(); // it has ended, well or not, and the page has said so
  }
}

/** The upload of this user that was broken off in this tab, or null. @returns {Promise<Note | null>} */
export async function brokenUpload() {
  const note = read();
  if (!note || note.user !== api.signedIn()?.user) return null;
  if (await isRunning(note.mark)) return null; // in another tab, from which this tab was duplicated
  if (await hasArrived(note)) {
    forgetUpload();
    return null;
  }
  return note;
}

export function forgetUpload() {
  storage.remove("sessionStorage", KEY);
}

/** Whether this is the file of the upload that was broken off. @param {Note} note @param {File} file */
export function isSameFile(note, file) {
  return file.name === note.name && file.size === note.size && file.lastModified === note.changed;
}

/** @returns {Note | null} */
function read() {
  try {
    return JSON.parse(storage.read("sessionStorage", KEY) ?? "null");
  } catch {
    return null;
  }
}

/** @param {string} mark */
async function isRunning(mark) {
  return navigator.locks ? navigator.locks.request(mark, { ifAvailable: true }, async (lock) => lock === null) : false;
}

/** Whether the server has the video: it may have arrived, and only its answer was lost. @param {Note} note */
async function hasArrived({ name, size, title, lecture, newest, replaces }) {
  if (replaces && !(await exists(replaces))) return true; // it was replaced, or there is nothing to replace any more
  const since = (await newestVideos(lecture)).filter(({ id }) => id > newest);
  return since.some((video) => video.file_name === name && video.size === size && video.title === title);
}

/** @param {string} id */
async function exists(id) {
  try {
    await api.call(`/media/videos/${encodeURIComponent(id)}/`);
    return true;
  } catch (error) {
    if (error instanceof api.ApiError && error.status === 404) return false;
    throw error;
  }
}

/** @param {string} lecture @returns {Promise<Video[]>} */
async function newestVideos(lecture) {
  return (await api.callJson(`/media/videos/?lecture=${encodeURIComponent(lecture)}&page_size=20`)).results;
}

/** @param {BeforeUnloadEvent} event */
function warn(event) {
  event.preventDefault();
}
