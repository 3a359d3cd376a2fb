// The page: who is signed in, which view stands, and what its forms do.

import * as api from "./api.js";
import { Cards } from "./cards.js";
import { ConnectionLine } from "./connection.js";
import { connect } from "./feed.js";
import * as imports from "./imports.js";
import { Question } from "./question.js";
import { SignIns } from "./sign-ins.js";
import { currentLanguage, explain, setLanguage, t, wordFor } from "./strings.js";
import * as videos from "./videos.js";

const VIEWS = ["sign-in", "change", "refused", "work"];
const TABS = ["imports", "videos"];
const FACULTY = ["owner", "staff", "teacher"];
const OFFICE = ["owner", "staff"];

/** @param {string} id @returns {any} the element, of whichever kind the page has there */
const at = (id) => document.getElementById(id);

/** @param {string} name */
const place = (name) => ({ list: at(`${name}-list`), none: at(`${name}-none`), more: at(`${name}-more`), spoken: at("spoken") });

const player = new videos.Player(at("player"));
const signIns = new SignIns(at("sign-ins"));
const question = new Question(at("question"));
/** What this page knows of each kind of work. */
const KINDS = {
  job: { ...imports, cards: new Cards(place("imports"), imports.makeCard, imports.ending) },
  video: { ...videos, cards: new Cards(place("videos"), videos.cardMaker(play, askToRemove, removed), videos.ending) },
};
/** @type {import("./feed.js").Feed | null} */
let feed = null;
const line = new ConnectionLine({
  line: at("connection"), text: at("connection-text"), next: at("connection-next"), spoken: at("connection-spoken"),
});
/** Whether somebody who need not change the password wants to. */
let changing = false;
/** Where a sentence stands that says that the server cannot be reached. @type {Set<string>} */
const unreachable = new Set();
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
  const field = Object.values(error.fields ?? {}).flat()[0]; // says more than the code "invalid" does
  const values = {
    seconds: Math.ceil((error.retryAfterMs ?? 0) / 1000),
    n: Number(/\d+/.exec(error.message)?.[0] ?? 0), // a limit is the only number in the server's sentence
  };
  return () => explain("error", error.code ?? "internal", field ?? error.message, values);
}

/** Says what went wrong; what is over when the server answers again goes then. @param {string} id @param {any} error */
function complain(id, error) {
  if (error.code === "offline") unreachable.add(id);
  else unreachable.delete(id);
  say(id, sentenceFor(error));
}

/** Takes back what was said while the server could not be reached. */
function reached() {
  const lecturesMissing = unreachable.has("video-problem") && at("lecture").options.length === 0;
  for (const id of unreachable) say(id, null);
  unreachable.clear();
  if (lecturesMissing) listLectures();
}

function translate() {
  document.documentElement.lang = currentLanguage();
  document.title = t("product");
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(/** @type {HTMLElement} */ (node).dataset.t ?? "");
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", t(/** @type {HTMLElement} */ (node).dataset.label ?? ""));
  for (const [id, sentence] of said) at(id).textContent = sentence();
  at("language").lang = currentLanguage() === "ko" ? "en" : "ko";
  for (const { cards } of Object.values(KINDS)) cards.render();
  line.render();
  signIns.render();
  question.render();
  showWho();
}

function showWho() {
  const claims = api.signedIn();
  at("account").hidden = !claims;
  at("who").textContent = claims ? [claims.tenant_code, claims.name, wordFor("role", claims.role)].filter(Boolean).join(" · ") : "";
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
  for (const { cards } of Object.values(KINDS)) cards.clear();
  player.close();
  signIns.close();
  question.close();
  const faculty = claims !== null && FACULTY.includes(claims.role);
  changing &&= claims !== null && !claims.must_change_password;
  const view = !claims ? "sign-in" : claims.must_change_password || changing ? "change" : faculty ? "work" : "refused";
  for (const name of VIEWS) at(name).hidden = name !== view;
  at("change-back").hidden = !changing;
  at("change-lead").dataset.t = changing ? "change_own_lead" : "change_lead";
  at("change-lead").textContent = t(at("change-lead").dataset.t);
  line.show(null);
  if (claims && view === "work") watch(claims);
  showWho();
  if (moveFocus) at(view === "sign-in" ? "tenant" : view === "change" ? "old-password" : view === "work" ? `${tab}-title` : `${view}-title`).focus();
}

/** Opens the form for the own password, or leaves it. The feed is closed meanwhile: the change ends its session.
 *  @param {boolean} wanted */
function changePassword(wanted) {
  changing = wanted;
  at("change-form").reset();
  say("change-problem", null);
  enter(true);
}

/** @param {unknown} [error] the reason, where it was not the user's own wish */
function leave(error) {
  api.forget();
  enter(true);
  say("sign-in-problem", error ? sentenceFor(error) : null);
}

/** What was permitted was revoked, but the sign-in may go on, with other rights. @param {unknown} reason */
async function comeBack(reason) {
  try {
    await api.restore();
    enter();
  } catch (error) {
    leave(error instanceof api.ApiError && error.status !== 401 ? error : reason);
  }
}

const AGAIN_MS = 3000;

/** The first view: that of whoever is still signed in in this browser. A server that is away is asked again. */
async function begin() {
  if (!api.signedIn() && api.maybeSignedIn()) {
    try {
      await api.restore();
    } catch (error) {
      const away = error instanceof api.ApiError && error.status !== 401;
      if (away) setTimeout(() => !api.signedIn() && begin(), Math.max(AGAIN_MS, error.retryAfterMs ?? 0));
      if (at("sign-in").hidden) enter();
      return say("sign-in-problem", away ? sentenceFor(error) : null);
    }
    say("sign-in-problem", null);
  }
  enter();
}

/** @param {api.Claims} claims */
function watch(claims) {
  const office = OFFICE.includes(claims.role);
  at("import").hidden = !office;
  at("lead").dataset.t = office ? "lead" : "watch_only";
  at("lead").textContent = t(office ? "lead" : "watch_only");
  say("import-problem", null);
  say("video-problem", null);
  line.show({ state: "connecting", reason: "", nextAt: null });
  feed = connect({ ticket, resolve, onState: onFeedState });
  feed.watch("*", (record) => kindOf(record.topic)?.cards.show(record));
  const mine = feed;
  for (const { recent, cards } of Object.values(KINDS)) {
    recent().then((found) => {
      if (feed !== mine) return;
      mine.learn(found.map(({ record }) => record), { prove: true });
      for (const { record, began } of found) cards.began(record.topic, began);
    }).catch(() => undefined); // a convenience: the feed brings what runs and what has just ended
  }
  listLectures();
}

const ticket = () => api.callJson("/api/v1/realtime/ticket/", { method: "POST" });

/** @param {string} topic @returns {typeof KINDS.job | typeof KINDS.video | undefined} */
function kindOf(topic) {
  const kind = topic.split(":")[0];
  return kind === "job" || kind === "video" ? KINDS[kind] : undefined;
}

/** @param {string} topic */
async function resolve(topic) {
  try {
    return await kindOf(topic)?.read(topic.slice(topic.indexOf(":") + 1)) ?? null;
  } catch (error) {
    if (error instanceof api.ApiError && error.status === 404) return null;
    throw error;
  }
}

async function listLectures() {
  const choice = at("lecture");
  try {
    const found = await videos.lectures();
    choice.replaceChildren(...found.map(({ id, title }) => new Option(title, `${id}`)));
  } catch (error) {
    complain("video-problem", error);
  }
}

/** @param {string} id */
function play(id) {
  player.play(id).catch((error) => complain("video-problem", error));
}

/** @param {string} name */
function askToRemove(name) {
  return question.ask("delete_video", { name });
}

/** @param {string} id */
function removed(id) {
  KINDS.video.cards.remove(`video:${id}`); // the feed says so too, where it is live
  at("videos-title").focus(); // the button that was used is gone
}

let tab = "imports";

/** @param {string} name @param {boolean} [moveFocus] */
function showTab(name, moveFocus = false) {
  tab = name;
  for (const one of TABS) {
    const chosen = one === name;
    at(one).hidden = !chosen;
    at(`tab-${one}`).setAttribute("aria-selected", `${chosen}`);
    at(`tab-${one}`).tabIndex = chosen ? 0 : -1;
  }
  if (moveFocus) at(`tab-${name}`).focus();
}

/** @param {import("./feed.js").State} state @param {number} code @param {import("./feed.js").Why} why */
function onFeedState(state, code, why) {
  line.show({ state, ...why });
  if (state === "live") reached();
  if (state === "live") for (const { cards } of Object.values(KINDS)) cards.speaking = true;
  if (state === "stopped" && code === 4410) comeBack({ code: "revoked" });
  else if (state === "stopped" && !api.signedIn()) leave({ code: "token_invalid" });
  else if (state === "stopped") for (const form of ["import", "video"]) say(`${form}-problem`, () => t("stopped_lead", { code: `${code}` }));
}

/** Runs what a form does: once at a time, its problem said beside it.
 *  @param {string} form @param {() => Promise<void>} work */
async function attempt(form, work) {
  const fields = at(`${form}-fields`);
  if (fields.hasAttribute("disabled")) return;
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  unreachable.delete(`${form}-problem`);
  say(`${form}-problem`, null);
  fields.setAttribute("disabled", "");
  /** @type {any} */
  let problem = null;
  await work().catch((error) => { problem = error; });
  fields.removeAttribute("disabled");
  if (!problem) return;
  if ((form === "import" || form === "video") && problem.status === 401) return leave(problem);
  complain(`${form}-problem`, problem);
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

/** @param {(() => string) | null} sentence */
const doing = (sentence) => say("import-doing", sentence);

/** @param {File} file */
async function upload(file) {
  const record = await imports.upload(file, doing);
  feed?.learn([record]);
}

/** @param {() => Promise<void>} work */
function importing(work) {
  return attempt("import", () => work().finally(() => doing(null)));
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
  importing(async () => upload(await imports.sample(doing)));
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
    changePassword(false);
  });
  at("change-own").addEventListener("click", () => changePassword(true));
  at("change-back").addEventListener("click", () => changePassword(false));
  at("sign-out").addEventListener("click", () => {
    api.signOut();
    leave();
  });
  at("show-sign-ins").addEventListener("click", () => signIns.open());
  at("language").addEventListener("click", () => {
    setLanguage(currentLanguage() === "ko" ? "en" : "ko");
    translate();
  });
}

/** @param {KeyboardEvent} event */
function onTabKey(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step) showTab(TABS[(TABS.indexOf(tab) + step + TABS.length) % TABS.length], true);
}

function bindTabs() {
  for (const name of TABS) at(`tab-${name}`).addEventListener("click", () => showTab(name));
  at("tabs").addEventListener("keydown", onTabKey);
  showTab(tab);
}

function bindVideo() {
  at("video-file").addEventListener("change", () => {
    const file = at("video-file").files[0];
    at("video-name").textContent = file?.name ?? "";
    if (file && !at("video-title").value) at("video-title").value = file.name.replace(/\.[^.]*$/, "").slice(0, 100);
  });
  onSubmit("video", async () => {
    const file = at("video-file").files[0];
    if (!file) throw new api.ApiError(400, { code: "video_missing" });
    const title = at("video-title").value.trim();
    try {
      const record = await videos.upload(file, title, at("lecture").value, (percent) => say("video-doing", () => t("uploading_percent", { name: file.name, percent })));
      feed?.learn([record]);
      at("video-form").reset();
      at("video-name").textContent = "";
    } finally {
      say("video-doing", null);
    }
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
bindTabs();
bindImport();
bindVideo();
api.onOtherTab(begin);
api.watchSignOuts((waiting) => say("sign-out-waiting", waiting ? () => t("sign_out_waiting") : null));
translate();
begin();
