// The form of videos: a file, its title, and the lecture that it belongs to.

import { ApiError } from "../api.js";
import { at } from "../dom.js";
import { onSubmit } from "../forms.js";
import { complain, say } from "../sentences.js";
import { t } from "../strings.js";
import * as videos from "./videos.js";

const lecture = at("lecture", HTMLSelectElement);

/** Fills the choice of lectures. */
export async function listLectures() {
  try {
    const found = await videos.lectures();
    lecture.replaceChildren(...found.map(({ id, title }) => new Option(title, `${id}`)));
    chooseLecture();
  } catch (error) {
    complain("video-problem", error);
  }
}

/** Chooses the lecture that the address names, as in `/videos?lecture=7`. */
export function chooseLecture() {
  const named = new URLSearchParams(location.search).get("lecture");
  if ([...lecture.options].some(({ value }) => value === named)) lecture.value = named ?? "";
}

/** Fills it where the server could not be reached when it was filled last. */
export function listMissingLectures() {
  if (lecture.options.length === 0) listLectures();
}

/** @param {(records: import("../../realtime/client.js").Record[]) => void} learn takes the record of what was uploaded */
export function bindVideoForm(learn) {
  const chosen = at("video-file", HTMLInputElement);
  const title = at("video-title", HTMLInputElement);
  const name = at("video-name");
  chosen.addEventListener("change", () => {
    const file = chosen.files?.[0];
    name.textContent = file?.name ?? "";
    if (file && !title.value) title.value = file.name.replace(/\.[^.]*$/, "").slice(0, 100);
  });
  onSubmit("video", async () => {
    const file = chosen.files?.[0];
    if (!file) throw new ApiError(400, { code: "video_missing" });
    /** @param {number} percent */
    const uploading = (percent) => say("video-doing", () => t("uploading_percent", { name: file.name, percent }));
    try {
      learn([await videos.upload(file, title.value.trim(), lecture.value, uploading)]);
      at("video-form", HTMLFormElement).reset();
      name.textContent = "";
    } finally {
      say("video-doing", null);
    }
  });
}
