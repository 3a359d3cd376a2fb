// The message that somebody is writing. It is kept while another view is shown. A reload keeps it without the picked
// students, until its user signs out. When another user signs in, it is dropped.

import * as storage from "../storage.js";

const KEY = "academy.message-draft";

/**
 * `by` says how the recipients are chosen, and `picked` has the picked students. `sent` is the last request, and `key`
 * its idempotency key. If the answer was lost, the same request is sent with the same key, so nobody gets a second
 * message.
 * @typedef {{user: number, text: string, to: string, by: string, lecture: string, key: string, sent: string,
 *   picked: import("../parts/paged-table.js").Row[]}} Draft
 */

/** @type {Draft | null} */
let current = null;

/** @param {number} user @returns {Draft} */
export function readDraft(user) {
  const dropped = storage.read("sessionStorage", KEY) === null; // somebody has signed out
  if (dropped || current?.user !== user) current = { ...empty(user), ...stored(user) };
  return current;
}

/** @param {number} user @returns {Draft} */
const empty = (user) => ({ user, text: "", to: "parent", by: "lecture", lecture: "", key: "", sent: "", picked: [] });

/** @param {number} user @returns {Partial<Draft>} */
function stored(user) {
  try {
    const kept = JSON.parse(storage.read("sessionStorage", KEY) ?? "null");
    if (kept?.user === user) return kept;
  } catch {
    // What cannot be read is no draft.
  }
  storage.remove("sessionStorage", KEY);
  return {};
}

/** @param {Draft} draft */
export function keepDraft({ picked: _, ...draft }) {
  storage.write("sessionStorage", KEY, JSON.stringify(draft));
}

export function forgetDraft() {
  current = null;
  storage.remove("sessionStorage", KEY);
}

/** The idempotency key for a request. If the last request was the same, this is its key.
 *  @param {Draft} draft @param {object} request */
export function keyFor(draft, request) {
  const sent = JSON.stringify(request);
  if (draft.sent !== sent || !draft.key) Object.assign(draft, { sent, key: newKey() });
  keepDraft(draft);
  return draft.key;
}

/** A random UUID. `crypto.randomUUID` needs TLS. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
