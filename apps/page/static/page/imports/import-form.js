// The form of workbooks: they are chosen, dropped, or the server's sample is tried.

import { at } from "../dom.js";
import { attempt, showSent } from "../forms.js";
import * as imports from "./imports.js";
import { say } from "../sentences.js";

/** @typedef {(records: import("../../realtime/client.js").Record[]) => void} Learn takes the records of what was uploaded */

/** @param {(() => string) | null} sentence */
const doing = (sentence) => say("import-doing", sentence);

/** @param {number | null} percent */
const sent = (percent) => showSent("import", percent);

/** @param {File} file @param {Learn} learn */
async function upload(file, learn) {
  learn([await imports.upload(file, doing, sent)]);
}

/** @param {() => Promise<void>} work */
function importing(work) {
  return attempt("import", () => work().finally(() => doing(null)));
}

/** @param {FileList | null | undefined} files @param {Learn} learn */
function uploadAll(files, learn) {
  const chosen = [...(files ?? [])];
  if (chosen.length === 0) return;
  importing(async () => {
    for (const file of chosen) await upload(file, learn);
  });
}

/** @param {Learn} learn */
function trySample(learn) {
  importing(async () => upload(await imports.sample(doing), learn));
}

/** @param {Learn} learn */
function takeDrops(learn) {
  const zone = at("import");
  const open = () => !zone.hidden && !at("imports").hidden;
  addEventListener("dragover", (event) => {
    event.preventDefault(); // a file dropped beside the zone must not replace the page
    zone.classList.toggle("over", open());
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) zone.classList.remove("over");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    if (open()) uploadAll(event.dataTransfer?.files, learn);
  });
}

/** @param {Learn} learn */
export function bindImportForm(learn) {
  const file = at("file", HTMLInputElement);
  file.addEventListener("change", () => {
    uploadAll(file.files, learn);
    file.value = ""; // the same file may be chosen again
  });
  at("sample").addEventListener("click", () => trySample(learn));
  at("template").addEventListener("click", () => attempt("import", imports.saveTemplate));
  takeDrops(learn);
}
