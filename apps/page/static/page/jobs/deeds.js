// What somebody may do to a job, by its kind and by the own role.

import { isTerminal } from "../../realtime/client.js";
import * as api from "../api.js";

const OFFICE = ["owner", "staff"];
const PATHS = { job: "/api/v1/jobs/", video: "/media/videos/" };
// Failures of videos that depend on the servers or on the day, not on the file.
const HOPEFUL = ["dead_letter", "quota_encoding", "internal"];

/** @typedef {import("./register.js").Work} Work */

/** @param {Work} work */
export function mayCancel({ topic, record }) {
  return !isTerminal(record) && mayChange(topic);
}

/** Whether another attempt is allowed and can help. Only a video needs no details. @param {Work["record"]} record
 *  @param {Work["detail"]} [detail] */
export function mayRetry(record, detail) {
  const { topic } = record;
  if (!mayChange(topic) || !isTerminal(record) || record.data?.deleted) return false;
  if (topic.startsWith("job:")) return ["FAILED", "CANCELLED"].includes(record.status) && detail?.retryCanHelp === true;
  return record.status === "CANCELLED" || (record.status === "FAILED" && HOPEFUL.includes(record.error?.code ?? ""));
}

/** Whether the file of an export may be downloaded. @param {Work} work */
export function mayDownload({ topic, record }) {
  return mayChange(topic) && record.status === "DONE" && record.data?.job_type === "student_export";
}

/** @param {string} topic @param {"cancel" | "retry"} deed */
export async function change(topic, deed) {
  const [kind, id] = topic.split(":");
  await api.call(`${PATHS[/** @type {"job" | "video"} */ (kind)]}${encodeURIComponent(id)}/${deed}/`, { method: "POST" });
}

/** Whether whoever is signed in runs the academy. */
export function isOffice() {
  return OFFICE.includes(api.signedIn()?.role ?? "");
}

/** @param {string} topic */
function mayChange(topic) {
  return topic.startsWith("video:") || (isOffice() && topic.startsWith("job:"));
}
