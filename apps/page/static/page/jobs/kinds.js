// What the page calls the jobs of each kind, and how it tells of them. A kind that it does not know has a name from its topic.

import { isTerminal } from "../../realtime/client.js";
import { explain, known, t } from "../strings.js";

/** @typedef {import("../../realtime/client.js").Record} Record */

/** The kind of a job: that of its topic, or of a `job:` its `job_type`. @param {Record} record @returns {string} */
export function kindOf(record) {
  const kind = record.topic.split(":")[0];
  return kind === "job" ? record.data?.job_type ?? kind : kind;
}

/** @param {string} kind */
export function kindName(kind) {
  return known(`kind_${kind}`) ? t(`kind_${kind}`) : kind;
}

/** @param {Record} record @returns {string} */
export function nameOf(record) {
  const { data, topic } = record;
  if (data?.file_name || data?.title) return data.file_name || data.title;
  if (data?.job_type) return kindName(data.job_type);
  return topic.startsWith("video:") ? t("unnamed_video") : topic;
}

/** Whether this is a video that is to replace another one. @param {Record} record */
export function isReplacing({ status, data }) {
  return Boolean(data?.replaces) && status !== "READY";
}

/** What is said of a video that is to replace another one, or of one that was to do so. @param {Record} record */
export function replacesText(record) {
  return t(isTerminal(record) ? "replaces_not" : "replaces_lead", { name: nameOf(record) });
}

/** PENDING, PROCESSING, STALLED, or how it has ended. @param {Record} record */
export function stateOf(record) {
  return record.stalled && !isTerminal(record) ? "STALLED" : record.status;
}

/** The word for the state. @param {Record} record @param {boolean} [waiting] whether it has not had its turn yet */
export function stateName(record, waiting = false) {
  const state = stateOf(record);
  if (state === "PENDING" && waiting) return t("waiting_turn");
  return t(state === "PROCESSING" ? "running" : state === "STALLED" ? "stalled" : state);
}

/** Why a job has failed. @param {Record} record */
export function reasonOf(record) {
  return explain("error", record.error?.code ?? "internal", record.error?.message);
}

/** The sentence for a job that has ended. @param {Record} record */
export function endingOf(record) {
  const name = nameOf(record);
  if (record.status === "FAILED") return t("said_failed", { name, reason: reasonOf(record) });
  if (record.status === "CANCELLED") return t("said_cancelled", { name });
  if (record.status === "READY") return t(record.data?.replaces ? "said_replaced" : "said_ready", { name });
  const counts = record.data?.result;
  return kindOf(record) === "excel_parsing" && counts ? t("said_done", { name, ...counts }) : t("said_ended", { name });
}

/** The result in a line, or "". @param {Record} record */
export function summaryOf(record) {
  const result = record.data?.result;
  if (record.status === "FAILED") return reasonOf(record);
  if (!result) return "";
  return factsOf(result).map(([name, value]) => `${name} ${value}`).join(" · ");
}

// PostgreSQL and Redis give the fields of a result in different orders.
const RESULT_ORDER = ["total", "sent", "created", "restored", "existing", "failed"];

/** @param {string} name */
const placeOf = (name) => (RESULT_ORDER.indexOf(name) + 1 || RESULT_ORDER.length + 1);

/** The numbers and texts of a result, each with its name. @param {{[name: string]: any}} result @returns {[string, string][]} */
export function factsOf(result) {
  const shown = Object.entries(result).filter(([name, value]) => name !== "file_name" && typeof value !== "object");
  return shown.sort(([one], [other]) => placeOf(one) - placeOf(other) || one.localeCompare(other)).map(
    ([name, value]) => [known(`result_${name}`) ? t(`result_${name}`) : name, typeof value === "number" ? value.toLocaleString() : `${value}`],
  );
}
