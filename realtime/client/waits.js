// How long to wait before the next connection, and the word for why there is none.

const BACKOFF_MIN_MS = 500;
const BACKOFF_MAX_MS = 20_000;

/** Full jitter: any time up to a limit that doubles with each try. @param {number} tries */
export function backoff(tries) {
  return Math.random() * Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** tries);
}

/**
 * What a close code demands: null to stop, else how many milliseconds to wait before the next connection.
 * @param {number} code @param {number} tries failures so far @param {number} [retryAfterMs] from `closing`
 * @returns {number | null}
 */
export function waitAfter(code, tries, retryAfterMs) {
  if (code >= 4400 && code <= 4499) return null;
  if (code === 1012 && retryAfterMs !== undefined) return retryAfterMs;
  if (code === 4100 && tries === 0) return 0; // only the ticket was too old, and each connection gets a new one
  return Math.max(backoff(tries), retryAfterMs ?? 0);
}

/** The word for why there is no connection.
 *  @param {number} code @param {boolean} online @param {string} [limit] @param {boolean} [blocked] */
export function reasonFor(code, online, limit, blocked) {
  if (!online) return "no_network";
  if (code === 4101) return limit ? `too_many_${limit}` : "throttled";
  return { 1012: "restart", 4003: "unavailable" }[code] ?? (blocked ? "blocked" : "lost");
}
