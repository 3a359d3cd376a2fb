// The HTTP API with a bearer token, and the session that this browser's tabs share.

const KEY = "academy.session";
const RENEW_BEFORE_MS = 30_000;
const TIMEOUT_MS = 30_000;

/**
 * @typedef {{user: number, session: string, tenant: number, tenant_code: string, role: string, name: string,
 *   must_change_password: boolean, iat: number, exp: number}} Claims
 * @typedef {{access: string, refresh: string, until: number}} Session
 * @typedef {{method?: string, json?: object, body?: FormData, timeout?: number}} Options
 */

/** An answer that was no success. Status 0: no answer at all. */
export class ApiError extends Error {
  /** @param {number} status @param {{code?: string, message?: string, fields?: Record<string, string[]>}} body
   *  @param {number} [retryAfterMs] */
  constructor(status, body, retryAfterMs) {
    super(body.message ?? `HTTP ${status}`);
    this.status = status;
    this.code = body.code ?? (status === 0 ? "offline" : "internal");
    this.fields = body.fields ?? {};
    this.retryAfterMs = retryAfterMs;
  }
}

/** @returns {Session | null} */
function stored() {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "null");
  } catch {
    return null;
  }
}

/** @param {string} access @returns {Claims} */
function claimsOf(access) {
  const text = atob(access.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
}

/** @param {{access: string, refresh: string}} tokens @returns {Session} */
function store({ access, refresh }) {
  const { iat, exp } = claimsOf(access);
  // Counted from now by this machine's clock, which need not agree with the server's.
  const session = { access, refresh, until: Date.now() + (exp - iat) * 1000 };
  localStorage.setItem(KEY, JSON.stringify(session));
  return session;
}

/** Who is signed in in this browser, or null. @returns {Claims | null} */
export function signedIn() {
  const session = stored();
  try {
    return session && claimsOf(session.access);
  } catch {
    return null; // not written by this page
  }
}

/** Calls `listener` when another tab signs in, signs out or refreshes. @param {() => void} listener */
export function onOtherTab(listener) {
  addEventListener("storage", (event) => {
    if (event.key === KEY || event.key === null) listener();
  });
}

/** @param {string} path @param {Options} options @param {string} [token] */
async function send(path, { method, json, body, timeout = TIMEOUT_MS }, token) {
  const headers = new Headers({ Accept: "application/json, */*" });
  if (token) headers.set("Authorization", `Bearer ${token}`);
  if (json) headers.set("Content-Type", "application/json");
  let response;
  try {
    response = await fetch(path, {
      method: method ?? (json || body ? "POST" : "GET"),
      headers,
      body: json ? JSON.stringify(json) : body,
      credentials: "omit", // the token says who asks; a cookie of another page on this host must not
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
 * A fresh access token in place of `stale`. A refresh token serves once, so only one tab may use it: the others wait
 * for the lock and find what that one has stored. (No locks on plain HTTP away from localhost: the second look helps.)
 * @param {string} stale @returns {Promise<string>}
 */
function renew(stale) {
  const work = async () => {
    const before = stored();
    if (before && before.access !== stale) return before.access;
    try {
      if (!before) throw new ApiError(401, { code: "token_invalid" });
      const answer = await send("/api/v1/auth/refresh/", { json: { refresh: before.refresh } });
      return store(await answer.json()).access;
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 401)) throw error;
      const now = stored();
      if (now && now.access !== stale) return now.access;
      localStorage.removeItem(KEY);
      throw error;
    }
  };
  return navigator.locks ? navigator.locks.request("academy.refresh", work) : work();
}

/** Asks as the signed-in user. A 401 that comes out of here is final: sign in again.
 *  @param {string} path @param {Options} [options] */
export async function call(path, options = {}) {
  const session = stored();
  if (!session) throw new ApiError(401, { code: "token_invalid" });
  let token = session.access;
  if (session.until - RENEW_BEFORE_MS < Date.now()) token = await renew(token);
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
  const token = await renew(stored()?.access ?? "");
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
      else reject(new ApiError(request.status, request.response ?? {}));
    };
    request.send(body);
  });
}

/** @param {{tenant: string, username: string, password: string}} json */
export async function signIn(json) {
  store(await (await send("/api/v1/auth/token/", { json })).json());
}

export async function signOut() {
  const refresh = stored()?.refresh;
  // Signed out here in any case; a server that cannot be reached lets the tokens run out.
  if (refresh) await call("/api/v1/auth/logout/", { json: { refresh }, timeout: 5000 }).catch(() => undefined);
  forget();
}

export function forget() {
  localStorage.removeItem(KEY);
}

/** @param {{old_password: string, new_password: string}} json */
export async function changePassword(json) {
  store(await callJson("/api/v1/auth/password/", { json }));
}
