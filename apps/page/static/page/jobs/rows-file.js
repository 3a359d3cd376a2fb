// The failed rows of an import as a file: it opens in Excel, can be corrected there, and can be imported again.

import { explain, t } from "../strings.js";
import { saveAs } from "./save.js";

const PAGE_ROWS = 200;
const MOST_ROWS = 10_000;
const FORMULA = /^[=+\-@\t\r]/;

/** @typedef {import("./failed-rows.js").Row} Row */

/** @param {import("./failed-rows.js").ReadRows} read @param {string} name of the imported file */
export async function saveFailedRows(read, name) {
  /** @type {Row[]} */
  const rows = [];
  for (let page = 1; rows.length < MOST_ROWS; page += 1) {
    const answer = await read(page, PAGE_ROWS);
    rows.push(...answer.rows);
    if (answer.next === null) break;
  }
  const file = new Blob(["\uFEFF", csvOf(rows)], { type: "text/csv" }); // Excel needs the mark to read Hangul
  saveAs(file, `${name.replace(/\.[^.]*$/, "")} ${t("failed_file")}.csv`);
}

/** @param {Row[]} rows */
function csvOf(rows) {
  // The import finds its columns by these names. The phone numbers of failed rows are not stored, so their column is empty.
  const head = ["이름", "학부모 전화", t("line"), t("reason")];
  const lines = rows.map(({ line, name, code, reason }) => [name, "", `${line}`, explain("row", code, reason)]);
  return [head, ...lines].map((cells) => cells.map(quoted).join(",")).join("\r\n");
}

/** A cell that no program takes for a formula. @param {string} text */
function quoted(text) {
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return `"${safe.replaceAll('"', '""')}"`;
}
