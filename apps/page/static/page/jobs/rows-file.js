// The failed rows of an import as a file: it opens in Excel, can be corrected there, and can be imported again.

import * as api from "../api.js";
import { explain, t } from "../strings.js";
import { saveAs } from "./save.js";

const PAGE_ROWS = 200;
const MOST_ROWS = 10_000;
const FORMULA = /^[=+\-@\t\r]/;

/** @typedef {import("./failed-rows.js").Row} Row */

/** Saves the workbook that the server has made of the rows, with all their cells. It is kept for a day, and only for the office.
 *  Else a file is made of what is shown. @param {string} id of the job @param {import("./failed-rows.js").ReadRows} read
 *  @param {string} name of the imported file @param {boolean} office */
export async function saveFailedRows(id, read, name, office) {
  const file = office ? await keptFile(id) : null;
  if (file) saveAs(file, `${stemOf(name)}.xlsx`);
  else await saveShownRows(read, name);
}

/** @param {string} id @returns {Promise<Blob | null>} */
async function keptFile(id) {
  try {
    return await (await api.call(`/api/v1/jobs/${encodeURIComponent(id)}/file/`)).blob();
  } catch (error) {
    if (error instanceof api.ApiError && [404, 410].includes(error.status)) return null;
    throw error;
  }
}

/** @param {string} name of the imported file */
const stemOf = (name) => `${name.replace(/\.[^.]*$/, "")} ${t("failed_file")}`;

/** @param {import("./failed-rows.js").ReadRows} read @param {string} name of the imported file */
async function saveShownRows(read, name) {
  /** @type {Row[]} */
  const rows = [];
  for (let page = 1; rows.length < MOST_ROWS; page += 1) {
    const answer = await read(page, PAGE_ROWS);
    rows.push(...answer.rows);
    if (answer.next === null) break;
  }
  const file = new Blob(["\uFEFF", csvOf(rows)], { type: "text/csv" }); // Excel needs the mark to read Hangul
  saveAs(file, `${stemOf(name)}.csv`);
}

/** @param {Row[]} rows */
function csvOf(rows) {
  // The import finds its columns by these names. The phone numbers of failed rows are in no answer, so their column is empty.
  const head = ["이름", "학부모 전화", t("line"), t("reason")];
  const lines = rows.map(({ line, name, code, reason }) => [name, "", `${line}`, explain("row", code, reason)]);
  return [head, ...lines].map((cells) => cells.map(quoted).join(",")).join("\r\n");
}

/** A cell that no program takes for a formula. @param {string} text */
function quoted(text) {
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return `"${safe.replaceAll('"', '""')}"`;
}
