// The title of the document: what the view shows, and how many long jobs have ended unseen.

import { t } from "../strings.js";

let view = () => "";
let unseen = 0;

/** @param {() => string} text what the view shows, in the chosen language */
export function setTitle(text) {
  view = text;
  writeTitle();
}

/** @param {number} count of the jobs that have ended while nobody looked */
export function setUnseen(count) {
  unseen = count;
  writeTitle();
}

export function writeTitle() {
  document.title = (unseen ? `(${unseen}) ` : "") + [view(), t("product")].filter(Boolean).join(" · ");
}
