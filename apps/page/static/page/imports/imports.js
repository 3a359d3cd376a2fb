// Imports of students: their cards, and what their form does.

import * as api from "../api.js";
import { ImportCard } from "./import-card.js";
import { saveAs } from "../jobs/save.js";
import { currentLanguage, t } from "../strings.js";

const MAX_BYTES = 20_000_000;
const UPLOAD_MS = 10 * 60_000;

/**
 * @typedef {import("../../realtime/client.js").Record} Record
 * @typedef {{job_id: string, job_type: string, status: string, attempt: number, created_at: string,
 *   finished_at: string | null, file_name: string | null, result: object | null, error_code: string | null,
 *   error_message: string | null, created_by: string | null, dispatched_at: string | null, retry_can_help: boolean}} Job
 * @typedef {(sentence: (() => string) | null) => void} Say
 */

/** What the jobs endpoints tell, as a record: the shape that the feed has, but for `progress`, which the database does
 *  not know. @param {Job} job @returns {Record} */
export function recordOf(job) {
  return {
    offset: 0,
    topic: `job:${job.job_id}`,
    attempt: job.attempt,
    status: job.status,
    data: { job_type: job.job_type, file_name: job.file_name, ...(job.result && { result: job.result }) },
    error: job.status === "FAILED" ? { code: job.error_code ?? "internal", message: job.error_message ?? "" } : null,
    published_at: Date.parse(job.finished_at ?? job.created_at) / 1000,
  };
}

/** What they tell beyond the record. @param {Job} job @returns {import("../jobs/register.js").Detail} */
export function detailOf(job) {
  return {
    by: job.created_by,
    began: Date.parse(job.created_at) / 1000,
    sent: job.dispatched_at ? Date.parse(job.dispatched_at) / 1000 : null,
    ended: job.finished_at ? Date.parse(job.finished_at) / 1000 : null,
    retryCanHelp: job.retry_can_help,
  };
}

/** @param {Record} record */
export function makeCard(record) {
  const ours = record.topic.startsWith("job:") && record.data?.job_type === "excel_parsing";
  return ours ? new ImportCard(record) : null;
}

/** Sends a workbook; the first word on its job. @param {File} file @param {Say} say @param {(percent: number | null) => void} sent
 *  takes how much of the file has left, and null at the end @returns {Promise<Record>} */
export async function upload(file, say, sent) {
  if (!/\.(xlsx|xls|csv)$/i.test(file.name)) throw new api.ApiError(400, { code: "file_type" });
  if (file.size > MAX_BYTES) throw new api.ApiError(413, { code: "file_too_large" });
  say(() => t("uploading", { name: file.name }));
  const body = new FormData();
  body.append("file", file);
  const { job_id } = await api.upload("/api/v1/students/import/", body, sent).finally(() => sent(null));
  const data = { job_type: "excel_parsing", file_name: file.name };
  // Shown at once; the feed takes over with its first word. Nothing is done yet, so its bar stands at 0.
  return { offset: 0, topic: `job:${job_id}`, attempt: 1, status: "PENDING", progress: null, data, published_at: Date.now() / 1000 };
}

/** Downloads the workbook that people fill in. */
export async function saveTemplate() {
  const answer = await api.call("/api/v1/students/import/template/");
  saveAs(await answer.blob(), t("template_file"));
}

/** A workbook with made-up students. @param {Say} say */
export async function sample(say) {
  say(() => t("making_sample"));
  const answer = await api.call("/api/v1/students/import/sample/?rows=2000", { timeout: UPLOAD_MS });
  const name = currentLanguage() === "ko" ? "샘플 학생 2000명.xlsx" : "sample of 2000 students.xlsx";
  return new File([await answer.blob()], name);
}
