// The page: who is signed in, which view the address shows, and the feed that fills it.

import * as api from "./api.js";
import { Cards } from "./cards.js";
import { ConnectionLine } from "./frame/connection.js";
import { at } from "./dom.js";
import { onSignedOut, onSubmit } from "./forms.js";
import { LAZY, VIEWS, homeOf } from "./frame/addresses.js";
import { Bell } from "./frame/bell.js";
import { Router } from "./frame/router.js";
import { Screens } from "./frame/screens.js";
import { Speaker } from "./frame/speaker.js";
import { setTitle, writeTitle } from "./frame/title.js";
import { bindImportForm } from "./imports/import-form.js";
import * as imports from "./imports/imports.js";
import { endingOf } from "./jobs/kinds.js";
import { Live } from "./jobs/live.js";
import { JobPage } from "./jobs/page.js";
import { Now } from "./now/now.js";
import { Question } from "./question.js";
import { complain, reached, repeat, say, sentenceFor } from "./sentences.js";
import { SignIns } from "./frame/sign-ins.js";
import { currentLanguage, setLanguage, t, wordFor } from "./strings.js";
import { VideoCards } from "./videos/video-cards.js";
import { askForReplacement, bindVideoForm, dropVideo, listLectures, offerBrokenUpload, replace } from "./videos/video-form.js";
import * as videos from "./videos/videos.js";

const SCREENS = ["sign-in", "change", "refused", "work"];
const OFFICE = ["owner", "staff"];

/** @param {string} name */
const place = (name) => ({ list: at(`${name}-list`), none: at(`${name}-none`), more: at(`${name}-more`, HTMLButtonElement) });

const player = new videos.Player(at("player", HTMLDialogElement));
const signIns = new SignIns(at("sign-ins", HTMLDialogElement));
const question = new Question(at("question", HTMLDialogElement));
/** The lists of the views that have one kind of job only. */
const LISTS = {
  job: new Cards(place("imports"), imports.makeCard),
  video: new VideoCards(place("videos"), videos.cardMaker({ play, rename, replace: askForReplacement, ask: askToRemove }, removed)),
};
const router = new Router(() => showPlace(true));
const now = new Now((query) => router.replaceQuery(query));
const jobPage = new JobPage((answer) => live.learnAnswers([answer]), play);
const speaker = new Speaker(at("spoken"));
const bell = new Bell(at("notify"), ({ record }) => endingOf(record), (address) => router.go(address));
const live = new Live({ now, jobPage, lists: LISTS, speaker, bell }, onFeedState);
const line = new ConnectionLine({
  line: at("connection"), text: at("connection-text"), next: at("connection-next"), spoken: at("connection-spoken"),
  reconnect: at("reconnect"),
}, () => live.reconnect());
const screens = new Screens(at("work"), {
  go: (address) => router.go(address), setQuery: (query) => router.replaceQuery(query), claims: api.signedIn, live,
  play: (id) => player.play(id),
  ask: (key, values) => question.ask(key, values), failed: leave,
});
/** Whether somebody who need not change the password wants to. */
let changing = false;
/** Who was signed in last in this tab. */
let lastUser = 0;

function translate() {
  document.documentElement.lang = currentLanguage();
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(/** @type {HTMLElement} */ (node).dataset.t ?? "");
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", t(/** @type {HTMLElement} */ (node).dataset.label ?? ""));
  repeat();
  at("language").lang = currentLanguage() === "ko" ? "en" : "ko";
  for (const part of [...Object.values(LISTS), now, jobPage, screens, line, signIns, question]) part.render();
  writeTitle();
  showWho();
}

function showWho() {
  const claims = api.signedIn();
  at("account").hidden = !claims;
  at("who").textContent = claims ? [claims.tenant_code, claims.name, wordFor("role", claims.role)].filter(Boolean).join(" · ") : "";
}

/** Shows the screen that fits who is signed in. @param {boolean} [moveFocus] after something the user did */
function enter(moveFocus = false) {
  const claims = api.signedIn();
  live.close();
  screens.clear();
  for (const dialog of [player, signIns, question]) dialog.close();
  for (const dialog of document.querySelectorAll("dialog")) dialog.close(); // such as a form with the title of a video
  const home = claims ? homeOf(claims.role) : "/";
  if (claims) takeOver(claims.user);
  if (location.pathname === "/" && home !== "/") history.replaceState(null, "", home);
  const allowed = claims !== null && VIEWS[router.place.view].includes(claims.role);
  changing &&= claims !== null && !claims.must_change_password;
  const screen = !claims ? "sign-in" : claims.must_change_password || changing ? "change" : allowed ? "work" : "refused";
  for (const name of SCREENS) at(name).hidden = name !== screen;
  for (const name of ["sign-in", "change"]) if (name !== screen) at(`${name}-form`, HTMLFormElement).reset(); // they have passwords
  const titles = { "sign-in": "sign_in", change: "change_title", refused: "staff_only_title" };
  const focused = { "sign-in": "tenant", change: "old-password", refused: "refused-title" };
  if (claims && screen === "change") {
    const byCode = claims.has_password === false; // older tokens do not say it
    askForPassword(byCode, claims.role);
    if (byCode) [titles.change, focused.change] = ["choose_title", "new-password"];
  }
  line.show(null);
  if (claims && screen === "work") watch(claims);
  showWho();
  if (screen === "work") return showPlace(moveFocus);
  setTitle(() => t(titles[screen]));
  if (moveFocus) at(focused[screen]).focus();
}

/** Writes texts of the page that depend on who is signed in. @param {{[id: string]: string}} texts the key of each element's text */
function write(texts) {
  for (const [id, key] of Object.entries(texts)) {
    at(id).dataset.t = key;
    at(id).textContent = t(key);
  }
}

/** Writes the form for the own password. @param {boolean} byCode after a sign-in with a code there is no old password
 *  @param {string} role only the office has issued codes */
function askForPassword(byCode, role) {
  const own = OFFICE.includes(role) ? "change_own_lead_office" : "change_own_lead";
  const lead = byCode ? "choose_lead" : changing ? own : "change_lead";
  write({ "change-title": byCode ? "choose_title" : "change_title", "change-lead": lead, "change-send": byCode ? "choose_password" : "change" });
  at("change-back").hidden = !changing;
  at("old-password-part").hidden = byCode;
  at("old-password", HTMLInputElement).disabled = byCode;
}

/** Shows what the address says. @param {boolean} moveFocus to the heading of the view */
function showPlace(moveFocus) {
  const claims = api.signedIn();
  const place = router.place;
  const { view, topic } = place;
  if (at("work").hidden || !claims || !VIEWS[view].includes(claims.role)) {
    if (claims && at("change").hidden) enter(moveFocus); // the role may open one view and not another
    return;
  }
  for (const name of Object.keys(VIEWS)) if (!Object.hasOwn(LAZY, name)) at(name).hidden = name !== view;
  screens.show(place, moveFocus);
  for (const link of at("views").querySelectorAll("a")) {
    link.hidden = !VIEWS[link.dataset.view ?? ""].includes(claims.role);
    if (link.dataset.view === view) {
      link.setAttribute("aria-current", "page");
      link.scrollIntoView({ block: "nearest", inline: "nearest" }); // on a phone, not all links are in sight
    } else link.removeAttribute("aria-current");
  }
  if (view === "now") now.read(location.search);
  if (view === "videos") {
    listLectures();
    offerBrokenUpload();
  }
  if (view === "job") live.show(topic);
  else jobPage.close();
  if (Object.hasOwn(LAZY, view)) return; // it sets the title and the focus itself when it is loaded
  setTitle(() => (view === "job" ? jobPage.title : t(`${view}_title`)));
  if (moveFocus) at(`${view}-title`).focus({ preventScroll: true });
}

/** Opens the form for the own password, or leaves it. The feed is closed meanwhile: the change ends its session.
 *  @param {boolean} wanted */
function changePassword(wanted) {
  changing = wanted;
  at("change-form", HTMLFormElement).reset();
  say("change-problem", null);
  enter(true);
}

/** After a sign-out in this browser, leaves nothing of the user for the next person: neither the address nor what was typed. */
function onSignOut() {
  history.replaceState(null, "", "/");
  dropForms();
}

/** Leaves nothing of the user who was signed in before in this tab, if that was another one: its session may have ended
 *  without a sign-out. The same user finds everything as it was. @param {number} user */
function takeOver(user) {
  const another = lastUser !== 0 && user !== lastUser;
  if (another) history.replaceState(null, "", "/");
  if (api.takeTab(user) || another) dropForms();
  lastUser = user;
}

/** Empties all forms, and closes the one for the own password. */
function dropForms() {
  changing = false;
  for (const form of document.forms) form.reset();
  say("change-problem", null);
  dropVideo();
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
  at("lecture").replaceChildren(); // they may be those of another academy
  replace(null);
  line.show({ state: "connecting", reason: "", nextAt: null });
  if (!VIEWS.now.includes(claims.role)) return; // students and parents: their view says what it watches
  live.open();
}

/** @param {string} id */
function play(id) {
  player.play(id).catch((error) => complain("video-problem", error));
}

/** @param {string} id @param {string} title */
async function rename(id, title) {
  const { renameVideo } = await import("./videos/rename.js");
  const video = await renameVideo(id, title, leave);
  if (video) live.learn([videos.recordOf(video)]);
}

/** @param {string} name @param {boolean} both whether another video is to replace it */
function askToRemove(name, both) {
  return question.ask(both ? "delete_replaced" : "delete_video", { name });
}

/** @param {string} id */
function removed(id) {
  LISTS.video.remove(`video:${id}`); // the feed says so too, where it is live
  at("videos-title").focus(); // the button that was used is gone
}

/** @param {import("../realtime/client.js").Status} status */
function onFeedState(status) {
  const { state, code, reason } = status;
  if (reason === "closed") return; // by this page
  line.show(status);
  if (state === "live" && reached().includes("video-problem") && router.place.view === "videos") listLectures();
  if (state === "live") speaker.speaking = true;
  if (state === "stopped" && code === 4410) comeBack({ code: "revoked" });
  else if (state === "stopped" && !api.signedIn()) leave({ code: "token_invalid" });
  else if (state === "stopped") for (const form of ["import", "video"]) say(`${form}-problem`, () => t("stopped_lead", { code: `${code}` }));
}

function bindForms() {
  onSubmit("sign-in", async ({ tenant, username, password }) => {
    await api.signIn({ tenant: tenant.trim(), username: username.trim(), password });
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
const learn = (records) => live.learn(records);

bindForms();
bindImportForm(learn);
bindVideoForm(learn, (id, percent) => LISTS.video.uploading(id, percent));
onSignedOut(leave);
api.onSignOut(onSignOut);
api.onOtherTab(begin);
api.watchSignOuts((waiting) => say("sign-out-waiting", waiting ? () => t("sign_out_waiting") : null));
translate();
begin();
