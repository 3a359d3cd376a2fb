// The form of videos: a file, its title, and the lecture that it belongs to.

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

/** Forgets the chosen file, and the upload that was broken off. */
export function dropVideo() {
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
    at("video-title", HTMLInputElement).value = broken.title;
    lecture.value = broken.lecture;
    at("video-name").textContent = file.name;
    showBroken(null);
    at("video-form", HTMLFormElement).requestSubmit();
  });
}

/** @param {(records: import("../../realtime/client.js").Record[]) => void} learn takes the record of what was uploaded */
export function bindVideoForm(learn) {
  bindBrokenUpload();
  const chosen = at("video-file", HTMLInputElement);
  const title = at("video-title", HTMLInputElement);
  const name = at("video-name");
  chosen.addEventListener("change", () => {
    const file = chosen.files?.[0];
    name.textContent = file?.name ?? "";
    if (file) tryAgain("video-problem");
    if (file && !title.value) title.value = file.name.replace(/\.[^.]*$/, "").slice(0, 100);
  });
  onSubmit("video", async () => {
    const file = chosen.files?.[0];
    if (!file) throw new ApiError(400, { code: "video_missing" });
    /** @param {number} percent */
    const uploading = (percent) => showSent("video", percent);
    say("video-doing", () => t("uploading", { name: file.name }));
    try {
      showBroken(null);
      uploading(0);
      const [named, to] = [title.value.trim(), lecture.value];
      learn([await noted(file, named, to, () => videos.upload(file, named, to, uploading))]);
      dropVideo();
    } finally {
      say("video-doing", null);
      showSent("video", null);
    }
  });
}
