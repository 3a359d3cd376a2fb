// The form that gives a video another title. It is loaded when it is needed.

import * as api from "../api.js";
import { FormDialog } from "../parts/form-dialog.js";

/** Asks for a title, and renames the video. Returns the video as it is now, or null if the form was closed.
 *  @param {string} id @param {string} title @param {(problem: unknown) => void} failed takes a problem after which somebody has to
 *  sign in again @returns {Promise<import("./videos.js").Video | null>} */
export async function renameVideo(id, title, failed) {
  const parent = document.createElement("div");
  document.body.append(parent);
  const form = new FormDialog(parent, {
    title: "video_rename", failed,
    fields: [{ name: "title", label: "video_title", attributes: { maxlength: "100", required: "" } }],
    work: (json) => api.callJson(`/media/videos/${encodeURIComponent(id)}/`, { method: "PATCH", json }),
  });
  const renamed = await form.open({ title });
  parent.remove();
  return renamed;
}
