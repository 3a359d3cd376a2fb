// Reads the failed rows of an import.

import * as api from "../api.js";

/** @param {string} jobId @returns {import("./failed-rows.js").ReadRows} */
export function readFailedRows(jobId) {
  const path = `/api/v1/jobs/${encodeURIComponent(jobId)}/result/?outcome=failed`;
  return (page, size = 50) => api.callJson(`${path}&page=${page}&page_size=${size}`);
}
