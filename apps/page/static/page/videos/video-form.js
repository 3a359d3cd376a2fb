// The form of videos: a file, its title, and the lecture that it belongs to. Or a file that is to replace a video: then that one says
// the rest.

import { ApiError } from "../api.js";
import { at } from "../dom.js";
import { onSubmit, showSent } from "../forms.js";
import { complain, say, tryAgain } from "../sentences.js";
import { t } from "../strings.js";
import { brokenUpload, forgetUpload, isSameFile, noted } from "./broken-upload.js";
import * as videos from "./videos.js";

const lecture = at("lecture", HTMLSelectElement);

/** Fills the choice of lectures. Chooses the one that the address names (`/videos?lecture=7`), or else the one that was chosen. */
export async function listLectures() {
  try {
    const found = await videos.lectures();
    const wanted = new URLSearchParams(location.search).get("lecture") ?? lecture.value;
    lecture.replaceChildren(...found.map(({ id, title }) => new Option(title, `${id}`)));
    if (found.some(({ id }) => `${id}` === wanted)) lecture.value = wanted;
  } catch (error) {
    complain("video-problem", error);
  }
}

/** The video that the file is to replace, or null. @type {{id: string, title: string, lecture: string} | null} */
let replaced = null;

/** Asks for a file that is to replace a video. @param {string} id */
export async function askForReplacement(id) {
  if (at("video-fields").hasAttribute("disabled")) return say("video-problem", () => t("replace_later"));
  say("video-problem", null);
  try {
    const { title, lecture_id } = await videos.readVideo(id);
    replace({ id, title, lecture: `${lecture_id}` });
    at("video-file").focus();
  } catch (error) {
    complain("video-problem", error);
  }
}

/** Asks for a file that is to replace this video, or for one of a new video if it is null. @param {typeof replaced} video */
export function replace(video) {
  replaced = video;
  at("video-replaces").hidden = !video;
  say("video-replaces-text", video && (() => t("replace_lead", { name: video.title })));
  for (const part of document.querySelectorAll("#video-fields [data-new]")) {
    /** @type {HTMLElement} */ (part).hidden = Boolean(video);
    if (part instanceof HTMLInputElement || part instanceof HTMLSelectElement) part.disabled = Boolean(video); // else it is required
  }
  const send = at("video-send");
  send.dataset.t = video ? "replace_send" : "video_send";
  send.textContent = t(send.dataset.t);
}

function bindReplacement() {
  at("video-replaces-drop").addEventListener("click", () => {
    replace(null);
    at("video-form", HTMLFormElement).reset();
    at("video-name").textContent = "";
    say("video-problem", null);
    at("videos-title").focus(); // the button that was used is gone
  });
}

/** The upload that was broken off, while the page offers to go on with it. @type {import("./broken-upload.js").Note | null} */
let broken = null;

/** Says which upload was broken off by a reload, and offers to choose its file again. */
export async function offerBrokenUpload() {
  try {
    showBroken(await brokenUpload());
  } catch {
    // The server cannot be reached. The next visit of the view tries again.
  }
}

/** @param {import("./broken-upload.js").Note | null} note */
function showBroken(note) {
  broken = note;
  at("video-broken").hidden = !note;
  say("video-broken-text", note && (() => t("video_broken", { name: note.name, title: note.title })));
}

/** Forgets the chosen file, the video that it is to replace, and the upload that was broken off. */
export function dropVideo() {
  replace(null);
  at("video-form", HTMLFormElement).reset();
  at("video-name").textContent = "";
  showBroken(null);
}

function bindBrokenUpload() {
  const again = at("video-again", HTMLInputElement);
  at("video-broken-drop").addEventListener("click", () => {
    forgetUpload();
    showBroken(null);
    say("video-problem", null);
    at("videos-title").focus(); // the button that was used is gone
  });
  again.addEventListener("change", () => {
    const file = again.files?.[0];
    if (!file || !broken) return;
    if (!isSameFile(broken, file)) {
      const { name } = broken;
      again.value = "";
      return say("video-problem", () => t("video_other_file", { name }));
    }
    at("video-file", HTMLInputElement).files = again.files;
    const { title, lecture: place, replaces } = broken;
    replace(replaces ? { id: replaces, title, lecture: place } : null);
    at("video-title", HTMLInputElement).value = title;
    lecture.value = place;
    at("video-name").textContent = file.name;
    showBroken(null);
    at("video-form", HTMLFormElement).requestSubmit();
  });
}

/** @param {(records: import("../../realtime/client.js").Record[]) => void} learn takes the record of what was uploaded
 *  @param {(id: string, percent: number | null) => void} onReplacing takes how much of the file for a video has been sent, and then null */
export function bindVideoForm(learn, onReplacing) {
  bindBrokenUpload();
  bindReplacement();
  const chosen = at("video-file", HTMLInputElement);
  const title = at("video-title", HTMLInputElement);
  const name = at("video-name");
  chosen.addEventListener("change", () => {
    const file = chosen.files?.[0];
    name.textContent = file?.name ?? "";
    if (file) tryAgain("video-problem");
    if (file && !replaced && !title.value) title.value = file.name.replace(/\.[^.]*$/, "").slice(0, 100);
  });
  onSubmit("video", async () => {
    const file = chosen.files?.[0];
    if (!file) throw new ApiError(400, { code: "video_missing" });
    const old = replaced;
    /** @param {number | null} percent */
    const uploading = (percent) => {
      showSent("video", percent);
      if (old) onReplacing(old.id, percent);
    };
    say("video-doing", () => t("uploading", { name: file.name }));
    try {
      showBroken(null);
      uploading(0);
      const place = old ? { title: old.title, lecture: old.lecture, replaces: old.id } : { title: title.value.trim(), lecture: lecture.value };
      learn([await noted(file, place, () => videos.upload(file, place, uploading))]);
      dropVideo();
    } catch (error) {
      throw isGone(error) ? new ApiError(409, { code: "video_gone" }) : error;
    } finally {
      say("video-doing", null);
      uploading(null);
    }
  });
}

/** Whether the video that was to be replaced is no longer there. @param {unknown} error */
function isGone(error) {
  return error instanceof ApiError && "replaces" in error.fields;
}
