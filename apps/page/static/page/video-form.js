// The form of videos: a file, its title, and the lecture that it belongs to.

import { ApiError } from "./api.js";
import { at } from "./dom.js";
import { onSubmit } from "./forms.js";
import { complain, say } from "./sentences.js";
import { t } from "./strings.js";
import * as videos from "./videos.js";

/** Fills the choice of lectures. */
export async function listLectures() {
  const choice = at("lecture");
  try {
    const found = await videos.lectures();
    choice.replaceChildren(...found.map(({ id, title }) => new Option(title, `${id}`)));
  } catch (error) {
    complain("video-problem", error);
  }
}

/** Fills it where the server could not be reached when it was filled last. */
export function listMissingLectures() {
  if (at("lecture").options.length === 0) listLectures();
}

/** @param {(records: import("./fold.js").Record[]) => void} learn takes the record of what was uploaded */
export function bindVideoForm(learn) {
  at("video-file").addEventListener("change", () => {
    const file = at("video-file").files[0];
    at("video-name").textContent = file?.name ?? "";
    if (file && !at("video-title").value) at("video-title").value = file.name.replace(/\.[^.]*$/, "").slice(0, 100);
  });
  onSubmit("video", async () => {
    const file = at("video-file").files[0];
    if (!file) throw new ApiError(400, { code: "video_missing" });
    const title = at("video-title").value.trim();
    try {
      const record = await videos.upload(file, title, at("lecture").value, (percent) => say("video-doing", () => t("uploading_percent", { name: file.name, percent })));
      learn([record]);
      at("video-form").reset();
      at("video-name").textContent = "";
    } finally {
      say("video-doing", null);
    }
  });
}
