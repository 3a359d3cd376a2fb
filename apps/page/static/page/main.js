// The page: who is signed in, which view stands, and what its forms do.

import * as api from "./api.js";
import { connect } from "./feed.js";
import { Jobs, recordOf } from "./jobs.js";
import { currentLanguage, explain, setLanguage, t, wordFor } from "./strings.js";

const MAX_BYTES = 20_000_000;
const UPLOAD_MS = 10 * 60_000;
const VIEWS = ["sign-in", "change", "refused", "imports"];
const FACULTY = ["owner", "staff", "teacher"];
const OFFICE = ["owner", "staff"];

/** @param {string} id @returns {any} the element, of whichever kind the page has there */
const at = (id) => document.getElementById(id);

const jobs = new Jobs(
  { list: at("list"), none: at("none"), more: at("more"), spoken: at("spoken") },
  (jobId, page) => api.callJson(`/api/v1/jobs/${encodeURIComponent(jobId)}/result/?outcome=failed&page=${page}`),
);
/** @type {import("./feed.js").Feed | null} */
let feed = null;
/** @type {import("./feed.js").State} */
let feedState = "connecting";
/** What the view that stands was made for. */
let entered = "";
/** Sentences that stand somewhere, so that a switch of language can say them anew. @type {Map<string, () => string>} */
const said = new Map();

/** Shows what `sentence` gives in the element, in whichever language; null clears it.
 *  @param {string} id @param {(() => string) | null} sentence */
function say(id, sentence) {
  if (sentence) said.set(id, sentence);
  else said.delete(id);
  at(id).textContent = sentence?.() ?? "";
}

/** @param {any} error */
function sentenceFor(error) {
  const field = Object.values(error.fields ?? {}).flat()[0]; // says more than the code does
  return () => field ?? explain("error", error.code ?? "internal", error.message, { seconds: Math.ceil((error.retryAfterMs ?? 0) / 1000) });
}

function translate() {
  document.documentElement.lang = currentLanguage();
  document.title = t("title");
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(/** @type {HTMLElement} */ (node).dataset.t ?? "");
  for (const [id, sentence] of said) at(id).textContent = sentence();
  at("language").lang = currentLanguage() === "ko" ? "en" : "ko";
  jobs.render();
  showState();
  showWho();
}

function showWho() {
  const claims = api.signedIn();
  at("account").hidden = !claims;
  at("who").textContent = claims ? [claims.tenant_code, claims.name, wordFor("role", claims.role)].filter(Boolean).join(" · ") : "";
}

function showState() {
  const state = feedState === "connecting" && !navigator.onLine ? "offline" : feedState;
  const place = at("connection");
  place.hidden = !feed;
  place.dataset.state = state;
  at("connection-text").textContent = t(state);
}

function signature() {
  const claims = api.signedIn();
  return claims ? `${claims.session} ${claims.role} ${claims.must_change_password}` : "";
}

/** Shows the view that fits who is signed in. @param {boolean} [moveFocus] after something the user did */
function enter(moveFocus = false) {
  const claims = api.signedIn();
  entered = signature();
  feed?.close();
  feed = null;
  jobs.clear();
  const faculty = claims !== null && FACULTY.includes(claims.role);
  const view = !claims ? "sign-in" : claims.must_change_password ? "change" : faculty ? "imports" : "refused";
  for (const name of VIEWS) at(name).hidden = name !== view;
  if (claims && view === "imports") watch(claims);
  showWho();
  showState();
  if (moveFocus) at(view === "sign-in" ? "tenant" : view === "change" ? "old-password" : `${view}-title`).focus();
}

/** @param {unknown} [error] the reason, where it was not the user's own wish */
function leave(error) {
  api.forget();
  enter(true);
  say("sign-in-problem", error ? sentenceFor(error) : null);
}

/** @param {api.Claims} claims */
function watch(claims) {
  const office = OFFICE.includes(claims.role);
  at("import").hidden = !office;
  at("lead").dataset.t = office ? "lead" : "watch_only";
  at("lead").textContent = t(office ? "lead" : "watch_only");
  say("import-problem", null);
  feed = connect({ ticket, resolve, onState: onFeedState });
  feed.watch("*", (record) => jobs.show(record));
  const mine = feed;
  api.callJson("/api/v1/jobs/?page=1").then(({ results }) => {
    if (feed !== mine) return;
    mine.learn(results.map(recordOf), { prove: true });
    for (const job of results) jobs.began(`job:${job.job_id}`, Date.parse(job.created_at) / 1000);
  }).catch(() => undefined); // a convenience: the feed brings what runs and what has just ended
}

const ticket = () => api.callJson("/api/v1/realtime/ticket/", { method: "POST" });

/** @param {string} topic */
async function resolve(topic) {
  if (!topic.startsWith("job:")) return null;
  try {
    return recordOf(await api.callJson(`/api/v1/jobs/${encodeURIComponent(topic.slice(4))}/`));
  } catch (error) {
    if (error instanceof api.ApiError && error.status === 404) return null;
    throw error;
  }
}

/** @param {import("./feed.js").State} state @param {number} code */
function onFeedState(state, code) {
  feedState = state;
  if (state === "live") jobs.speaking = true;
  if (state === "stopped" && code === 4410) leave({ code: "revoked" });
  else if (state === "stopped" && !api.signedIn()) leave({ code: "token_invalid" });
  else if (state === "stopped") say("import-problem", () => t("stopped_lead", { code: `${code}` }));
  showState();
}

/** Runs what a form does: once at a time, its problem said beside it.
 *  @param {string} form @param {() => Promise<void>} work */
async function attempt(form, work) {
  const fields = at(`${form}-fields`);
  if (fields.hasAttribute("disabled")) return;
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  say(`${form}-problem`, null);
  fields.setAttribute("disabled", "");
  /** @type {any} */
  let problem = null;
  await work().catch((error) => { problem = error; });
  fields.removeAttribute("disabled");
  if (!problem) return;
  if (form === "import" && problem.status === 401) return leave(problem);
  say(`${form}-problem`, sentenceFor(problem));
  focused?.focus();
}

/** @param {string} form @param {(values: {[name: string]: string}) => Promise<void>} work */
function onSubmit(form, work) {
  const node = at(`${form}-form`);
  node.addEventListener("submit", (event) => {
    event.preventDefault();
    const values = Object.fromEntries(new FormData(/** @type {HTMLFormElement} */ (node)));
    attempt(form, () => work(/** @type {{[name: string]: string}} */ (values)));
  });
}

/** @param {File} file */
async function upload(file) {
  if (!/\.(xlsx|xls|csv)$/i.test(file.name)) throw new api.ApiError(400, { code: "file_type" });
  if (file.size > MAX_BYTES) throw new api.ApiError(413, { code: "file_too_large" });
  say("import-doing", () => t("uploading", { name: file.name }));
  const body = new FormData();
  body.append("file", file);
  const { job_id } = await api.callJson("/api/v1/students/import/", { body, timeout: UPLOAD_MS });
  const data = { job_type: "excel_parsing", file_name: file.name };
  // Shown at once; the feed takes over with its first word. Nothing is done yet, so its bar stands at 0.
  feed?.learn([{ offset: 0, topic: `job:${job_id}`, attempt: 1, status: "PENDING", progress: null, data, published_at: Date.now() / 1000 }]);
}

/** @param {() => Promise<void>} work */
function importing(work) {
  return attempt("import", () => work().finally(() => say("import-doing", null)));
}

/** @param {FileList | null | undefined} files */
function uploadAll(files) {
  const chosen = [...(files ?? [])];
  if (chosen.length === 0) return;
  importing(async () => {
    for (const file of chosen) await upload(file);
  });
}

function trySample() {
  importing(async () => {
    say("import-doing", () => t("making_sample"));
    const sample = await api.call("/api/v1/students/import/sample/?rows=2000", { timeout: UPLOAD_MS });
    const name = currentLanguage() === "ko" ? "샘플 학생 2000명.xlsx" : "sample of 2000 students.xlsx";
    await upload(new File([await sample.blob()], name));
  });
}

function takeDrops() {
  const zone = at("import");
  const open = () => !zone.hidden && !at("imports").hidden;
  addEventListener("dragover", (event) => {
    event.preventDefault(); // a file dropped beside the zone must not replace the page
    zone.classList.toggle("over", open());
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) zone.classList.remove("over");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    if (open()) uploadAll(event.dataTransfer?.files);
  });
}

function bindForms() {
  onSubmit("sign-in", async ({ tenant, username, password }) => {
    await api.signIn({ tenant: tenant.trim(), username: username.trim(), password });
    at("sign-in-form").reset();
    enter(true);
  });
  onSubmit("change", async ({ old_password, new_password, repeat }) => {
    if (new_password !== repeat) throw new api.ApiError(400, { code: "repeat_differs" });
    await api.changePassword({ old_password, new_password });
    at("change-form").reset();
    enter(true);
  });
  at("sign-out").addEventListener("click", () => api.signOut().then(() => leave()));
  at("language").addEventListener("click", () => {
    setLanguage(currentLanguage() === "ko" ? "en" : "ko");
    translate();
  });
}

function bindImport() {
  /** @type {HTMLInputElement} */
  const file = at("file");
  file.addEventListener("change", () => {
    uploadAll(file.files);
    file.value = ""; // the same file may be chosen again
  });
  at("sample").addEventListener("click", trySample);
  takeDrops();
}

bindForms();
bindImport();
api.onOtherTab(() => {
  if (signature() !== entered) enter();
});
addEventListener("online", showState);
addEventListener("offline", showState);
enter();
translate();
