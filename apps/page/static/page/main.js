// The page: who is signed in, which view is shown, and the feed that fills it.

import { connect } from "../realtime/client.js";
import * as api from "./api.js";
import { Cards } from "./cards.js";
import { ConnectionLine } from "./connection.js";
import { at } from "./dom.js";
import { onSignedOut, onSubmit } from "./forms.js";
import { bindImportForm } from "./import-form.js";
import * as imports from "./imports.js";
import { Question } from "./question.js";
import { complain, reached, repeat, say, sentenceFor } from "./sentences.js";
import { SignIns } from "./sign-ins.js";
import { currentLanguage, setLanguage, t, wordFor } from "./strings.js";
import { Tabs } from "./tabs.js";
import { bindVideoForm, listLectures, listMissingLectures } from "./video-form.js";
import * as videos from "./videos.js";

const VIEWS = ["sign-in", "change", "refused", "work"];
const FACULTY = ["owner", "staff", "teacher"];
const OFFICE = ["owner", "staff"];

/** @param {string} name */
const place = (name) => ({
  list: at(`${name}-list`), none: at(`${name}-none`), more: at(`${name}-more`, HTMLButtonElement), spoken: at("spoken"),
});

const player = new videos.Player(at("player", HTMLDialogElement));
const signIns = new SignIns(at("sign-ins", HTMLDialogElement));
const question = new Question(at("question", HTMLDialogElement));
const tabs = new Tabs(["imports", "videos"]);
/** What this page knows of each kind of work. */
const KINDS = {
  job: { ...imports, cards: new Cards(place("imports"), imports.makeCard, imports.ending) },
  video: { ...videos, cards: new Cards(place("videos"), videos.cardMaker(play, askToRemove, removed), videos.ending) },
};
/** @type {import("../realtime/client.js").Feed | null} */
let feed = null;
const line = new ConnectionLine({
  line: at("connection"), text: at("connection-text"), next: at("connection-next"), spoken: at("connection-spoken"),
});
/** Whether somebody who need not change the password wants to. */
let changing = false;

function translate() {
  document.documentElement.lang = currentLanguage();
  document.title = t("product");
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(/** @type {HTMLElement} */ (node).dataset.t ?? "");
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", t(/** @type {HTMLElement} */ (node).dataset.label ?? ""));
  repeat();
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

/** Shows the view that fits who is signed in. @param {boolean} [moveFocus] after something the user did */
function enter(moveFocus = false) {
  const claims = api.signedIn();
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
  const lead = changing ? "change_own_lead" : "change_lead";
  at("change-lead").dataset.t = lead;
  at("change-lead").textContent = t(lead);
  line.show(null);
  if (claims && view === "work") watch(claims);
  showWho();
  if (moveFocus) at(view === "sign-in" ? "tenant" : view === "change" ? "old-password" : view === "work" ? `${tabs.chosen}-title` : `${view}-title`).focus();
}

/** Opens the form for the own password, or leaves it. The feed is closed meanwhile: the change ends its session.
 *  @param {boolean} wanted */
function changePassword(wanted) {
  changing = wanted;
  at("change-form", HTMLFormElement).reset();
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
  feed = connect({ ticket, resolve });
  feed.on("state", onFeedState);
  feed.watch("*", (record) => kindOf(record.topic)?.cards.show(record));
  const mine = feed;
  for (const { recent, cards } of Object.values(KINDS)) {
    recent().then((found) => {
      if (feed !== mine) return;
      mine.learn(found.map(({ record }) => record));
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

/** @param {import("../realtime/client.js").Status} status */
function onFeedState(status) {
  const { state, code, reason } = status;
  if (reason === "closed") return; // by this page
  line.show(status);
  if (state === "live" && reached().includes("video-problem")) listMissingLectures();
  if (state === "live") for (const { cards } of Object.values(KINDS)) cards.speaking = true;
  if (state === "stopped" && code === 4410) comeBack({ code: "revoked" });
  else if (state === "stopped" && !api.signedIn()) leave({ code: "token_invalid" });
  else if (state === "stopped") for (const form of ["import", "video"]) say(`${form}-problem`, () => t("stopped_lead", { code: `${code}` }));
}

function bindForms() {
  onSubmit("sign-in", async ({ tenant, username, password }) => {
    await api.signIn({ tenant: tenant.trim(), username: username.trim(), password });
    at("sign-in-form", HTMLFormElement).reset();
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

/** @param {Parameters<import("../realtime/client.js").Feed["learn"]>[0]} records of what was uploaded here */
const learn = (records) => feed?.learn(records);

bindForms();
bindImportForm(learn);
bindVideoForm(learn);
onSignedOut(leave);
api.onOtherTab(begin);
api.watchSignOuts((waiting) => say("sign-out-waiting", waiting ? () => t("sign_out_waiting") : null));
translate();
begin();
