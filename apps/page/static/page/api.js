// The HTTP API with a bearer token, and the session that this browser's tabs share.

import * as storage from "./storage.js";

// The access token lives in this tab's memory alone, and the refresh token in a cookie that no script can read. What is
// stored is only which academy's cookie it is, and a mark that changes when somebody signs in or out in another tab.
const KEY = "academy.signed-in";
const RENEW_BEFORE_MS = 30_000;
const TIMEOUT_MS = 30_000;
// Where versions up to 2026-11-28 kept their tokens: the refresh token is exchanged once for a cookie. Remove it in 0.3.
const OLD_KEY = "academy.session";

/**
 * @typedef {{user: number, session: string, tenant: number, tenant_code: string, role: string, name: string,
 *   must_change_password: boolean, has_password?: boolean, iat: number, exp: number}} Claims
 * @typedef {{access: string, until: number}} Session
 * @typedef {{method?: string, json?: object, body?: FormData, timeout?: number, cookie?: boolean}} Options
 */

/** @type {Session | null} */
let session = null;

/** An answer that was no success. Status 0: no answer at all. */
export class ApiError extends Error {
  /** @param {number} status @param {{code?: string, message?: string, fields?: Record<string, string[]>, replaced_by?: number}} body
   *  @param {number} [retryAfterMs] */
  constructor(status, body, retryAfterMs) {
    super(body.message ?? `HTTP ${status}`);
    this.status = status;
    this.code = body.code ?? (status === 0 ? "offline" : "internal");
    this.fields = body.fields ?? {};
    this.replacedBy = body.replaced_by ?? null; // of a video: the one that has its place now
    this.retryAfterMs = retryAfterMs;
  }
}

/** @returns {{tenant: string, mark: string} | null} */
function remembered() {
  try {
    return JSON.parse(storage.read("localStorage", KEY) ?? "null");
  } catch {
    return null;
  }
}

/** The refresh token that an earlier version of this page stored, or null. @returns {string | null} */
function oldRefreshToken() {
  try {
    return JSON.parse(storage.read("localStorage", OLD_KEY) ?? "null")?.refresh ?? null;
  } catch {
    return null;
  }
}

/** @param {string} access @returns {Claims} */
function claimsOf(access) {
  const text = atob(access.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
}

/** @param {{access: string}} tokens @returns {Session} */
function keep({ access }) {
  const { iat, exp, tenant_code, session: mark } = claimsOf(access);
  // Counted from now by this machine's clock, which need not agree with the server's.
  session = { access, until: Date.now() + (exp - iat) * 1000 };
  const now = JSON.stringify({ tenant: tenant_code, mark });
  if (storage.read("localStorage", KEY) !== now) storage.write("localStorage", KEY, now);
  storage.remove("localStorage", OLD_KEY);
  return session;
}

/** Who is signed in in this tab, or null. @returns {Claims | null} */
export function signedIn() {
  return session && claimsOf(session.access);
}

/** Whether this browser may still hold the sign-in of a tab or of an earlier visit: `restore` finds out. */
export function maybeSignedIn() {
  return remembered() !== null || oldRefreshToken() !== null;
}

/** Takes up the sign-in that this browser remembers. Throws an ApiError; after a 401 it is forgotten. */
export async function restore() {
  await renew(session?.access ?? "");
}

/** Calls `listener` when another tab signs in or out. @param {() => void} listener */
export function onOtherTab(listener) {
  const check = () => {
    if (remembered()?.mark === signedIn()?.session) return;
    session = null;
    listener();
  };
  addEventListener("storage", (event) => (event.key === KEY || event.key === null) && check());
  addEventListener("pageshow", (event) => event.persisted && check()); // the Back button has brought the page back
}

/** @param {string} path @param {Options} options @param {string} [token] */
async function send(path, { method, json, body, timeout = TIMEOUT_MS, cookie = false }, token) {
  const headers = new Headers({ Accept: "application/json, */*" });
  if (token) headers.set("Authorization", `Bearer ${token}`);
  if (json) headers.set("Content-Type", "application/json");
  let response;
  try {
    response = await fetch(path, {
      method: method ?? (json || body ? "POST" : "GET"),
      headers,
      body: json ? JSON.stringify(json) : body,
      // The token identifies the user. The cookie is sent only where it is exchanged for a token.
      credentials: cookie ? "same-origin" : "omit",
      cache: "no-store",
      signal: AbortSignal.timeout(timeout),
    });
  } catch {
    throw new ApiError(0, {});
  }
  if (response.ok) return response;
  const answer = await response.json().catch(() => ({}));
  const seconds = Number(response.headers.get("Retry-After"));
  throw new ApiError(response.status, answer, seconds > 0 ? seconds * 1000 : undefined);
}

/**
 * A fresh access token in place of `stale`. A refresh token serves once, so only one tab at a time may use it.
 * (No locks on plain HTTP away from localhost: the server then takes the same token twice within some seconds.)
 * @param {string} stale @returns {Promise<string>}
 */
function renew(stale) {
  const work = async () => {
    if (session && session.access !== stale) return session.access;
    const known = remembered();
    const old = known ? null : oldRefreshToken();
    if (!known && !old) throw new ApiError(401, { code: "token_invalid" });
    try {
      const json = known ? { cookie: true, tenant: known.tenant } : { cookie: true, refresh: old };
      const answer = await send("/api/v1/auth/refresh/", { json, cookie: true });
      return keep(await answer.json()).access;
    } catch (error) {
      if (error instanceof ApiError && error.status === 401 && remembered()?.mark === known?.mark) forget();
      throw error;
    }
  };
  return alone("academy.refresh", work);
}

/** Does the work while no other tab does any of this name. @template T @param {string} name @param {() => Promise<T>} work
 *  @returns {Promise<T>} */
async function alone(name, work) {
  return navigator.locks ? navigator.locks.request(name, work) : work();
}

/** Asks as the signed-in user. A 401 that comes out of here is final: sign in again.
 *  @param {string} path @param {Options} [options] */
export async function call(path, options = {}) {
  let token = session?.access ?? "";
  if (!session || session.until - RENEW_BEFORE_MS < Date.now()) token = await renew(token);
  try {
    return await send(path, options, token);
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 401)) throw error;
    return send(path, options, await renew(token));
  }
}

/** @param {string} path @param {Options} [options] @returns {Promise<any>} */
export async function callJson(path, options) {
  return (await call(path, options)).json();
}

/** Sends a large file, and says how much of it has left. A fresh token goes with it: a 401 would come when all is sent.
 *  @param {string} path @param {FormData} body @param {(percent: number) => void} onPercent @returns {Promise<any>} */
export async function upload(path, body, onPercent) {
  const token = await renew(session?.access ?? "");
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not tell how far a body is
    request.open("POST", path);
    request.responseType = "json";
    request.setRequestHeader("Authorization", `Bearer ${token}`);
    request.setRequestHeader("Accept", "application/json");
    request.upload.onprogress = ({ loaded, total }) => onPercent(total ? Math.floor((100 * loaded) / total) : 0);
    request.onerror = () => reject(new ApiError(0, {}));
    request.onload = () => {
      if (request.status < 300) resolve(request.response);
      else reject(new ApiError(request.status, request.response ?? {}, Number(request.getResponseHeader("Retry-After")) * 1000 || undefined));
    };
    request.send(body);
  });
}

/** @param {{tenant: string, username: string, password: string}} json */
export async function signIn(json) {
  const tokens = await alone(SIGN_OUTS, async () => {
    await sendSignOuts(); // while the cookie is still that of the old session
    const answer = await send("/api/v1/auth/token/", { json: { ...json, cookie: true }, cookie: true });
    waitForSignOuts(waitingSignOuts().filter((tenant) => tenant !== json.tenant));
    return answer.json();
  });
  keep(tokens);
}

// Changes with each sign-out in this browser. Each tab stores the value that it has seen, so that a tab that slept
// or was closed at that moment notices it later.
const SIGNED_OUT = "academy.signed-out";

/** Calls `listener` after each sign-out in this browser, in this tab or in another one. Before it, drops what this tab has
 *  stored: drafts and file names, which the next person at this computer could read.
 *  @param {() => void} listener */
export function onSignOut(listener) {
  const forgotten = () => {
    const last = storage.read("localStorage", SIGNED_OUT) ?? "";
    if ((storage.read("sessionStorage", SIGNED_OUT) ?? "") === last) return false;
    storage.clear("sessionStorage");
    storage.write("sessionStorage", SIGNED_OUT, last);
    return true;
  };
  forgotten(); // in a tab that the browser has opened again
  onSignedOut = () => forgotten() && listener();
  addEventListener("storage", (event) => event.key === SIGNED_OUT && onSignedOut());
  addEventListener("pageshow", (event) => event.persisted && onSignedOut());
}

// Who signed in last in this tab: what it has stored is of this user.
const LAST_USER = "academy.last-user";

/** Notes who is signed in in this tab. If that was another user, drops what this tab has stored, except the mark of the
 *  last sign-out. Says whether it was another one. @param {number} user */
export function takeTab(user) {
  const last = storage.read("sessionStorage", LAST_USER);
  const taken = last !== null && last !== `${user}`;
  if (taken) {
    const mark = storage.read("sessionStorage", SIGNED_OUT);
    storage.clear("sessionStorage");
    if (mark !== null) storage.write("sessionStorage", SIGNED_OUT, mark);
  }
  storage.write("sessionStorage", LAST_USER, `${user}`);
  return taken;
}

/** @type {() => void} */
let onSignedOut = () => undefined;

/** Signs out here at once, and then on the server. A sign-out that does not arrive waits, and is sent again. */
export function signOut() {
  storage.write("localStorage", SIGNED_OUT, `${Date.now()} ${Math.random()}`);
  onSignedOut();
  const known = remembered();
  if (known) waitForSignOuts([...new Set([...waitingSignOuts(), known.tenant])]);
  forget();
  retrySignOuts();
}

// The academies whose sign-out has not arrived: their cookies are still there, and still open the sessions.
const SIGN_OUTS = "academy.signing-out";
const SIGN_OUT_AGAIN_MS = 5000;
/** @type {(waiting: boolean) => void} */
let onSignOuts = () => undefined;
let signOutTimer = 0;

/** Send the stored sign-outs again: now, when the browser is online again, and every few seconds. `listener` gets
 *  whether any is left. @param {(waiting: boolean) => void} listener */
export function watchSignOuts(listener) {
  onSignOuts = listener;
  addEventListener("online", retrySignOuts);
  addEventListener("storage", (event) => event.key === SIGN_OUTS && listener(waitingSignOuts().length > 0));
  retrySignOuts();
}

async function retrySignOuts() {
  clearTimeout(signOutTimer);
  if (waitingSignOuts().length > 0) await alone(SIGN_OUTS, sendSignOuts);
  const waiting = waitingSignOuts().length > 0;
  clearTimeout(signOutTimer);
  if (waiting) signOutTimer = setTimeout(retrySignOuts, SIGN_OUT_AGAIN_MS);
  onSignOuts(waiting);
}

async function sendSignOuts() {
  for (const tenant of waitingSignOuts()) {
    try {
      // By the cookie, so that neither an access token nor Redis is needed.
      await send("/api/v1/auth/logout/", { json: { cookie: true, tenant }, cookie: true, timeout: 5000 });
    } catch (error) {
      // "revocation_pending": the session has ended, though not every process knows yet.
      if (!(error instanceof ApiError && error.code === "revocation_pending")) continue;
    }
    waitForSignOuts(waitingSignOuts().filter((other) => other !== tenant));
  }
}

/** @returns {string[]} */
function waitingSignOuts() {
  try {
    return JSON.parse(storage.read("localStorage", SIGN_OUTS) ?? "[]");
  } catch {
    return [];
  }
}

/** @param {string[]} tenants */
function waitForSignOuts(tenants) {
  if (tenants.length > 0) storage.write("localStorage", SIGN_OUTS, JSON.stringify(tenants));
  else storage.remove("localStorage", SIGN_OUTS);
}

export function forget() {
  session = null;
  storage.remove("localStorage", KEY);
  storage.remove("localStorage", OLD_KEY);
}

/** @param {{old_password?: string, new_password: string}} json without the old one after a sign-in with a one-time code */
export async function changePassword(json) {
  keep(await callJson("/api/v1/auth/password/", { json: { ...json, cookie: true }, cookie: true }));
}

/** Where an account is signed in. @typedef {{id: string, current: boolean, created_at: string, last_used_at: string,
 *   address: string | null, user_agent: string}} SignIn
 *  @param {number} [user] another account than the own one @returns {Promise<SignIn[]>} */
export async function signIns(user) {
  return (await callJson(`/api/v1/auth/sessions/?page_size=100${user ? `&user=${user}` : ""}`)).results;
}

/** Ends a sign-in, or without its id all of an account but this one.
 *  @param {string} [id] @param {number} [user] another account than the own one */
export async function endSignIn(id, user) {
  await call(`/api/v1/auth/sessions/${id ? `${id}/` : user ? `?user=${user}` : ""}`, { method: "DELETE" });
}
