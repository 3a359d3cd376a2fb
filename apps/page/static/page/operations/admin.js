// The operators' page of the whole system, in the admin. It has the session of the admin, and no token of the API.

import { at, cell, element } from "../dom.js";
import { ConnectionLine } from "../frame/connection.js";
import { Question } from "../question.js";
import { addWords, currentLanguage, setLanguage, t } from "../strings.js";
import { Figures } from "./figures.js";
import { Letters } from "./letters.js";
import { watchFigures } from "./watch.js";
import { WORDS } from "./words.js";

addWords(WORDS);

const TIMEOUT_MS = 60_000;
const SIGN_IN = "/admin/login/?next=/admin/operations/";

/** Sends a request: a POST if there is `json`, else a GET.
 *  @param {string} path @param {object} [json] @returns {Promise<any>} */
async function ask(path, json) {
  const token = at("sign-out").querySelector("input")?.value ?? "";
  const headers = { Accept: "application/json", "Content-Type": "application/json", "X-CSRFToken": token };
  const options = { method: json ? "POST" : "GET", headers, body: json && JSON.stringify(json), signal: AbortSignal.timeout(TIMEOUT_MS) };
  const response = await fetch(`/admin/operations/${path}`, options).catch(() => {
    throw Object.assign(new Error(), { status: 0, code: "offline" });
  });
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  throw Object.assign(new Error(answer.message), { status: response.status, code: answer.code });
}

const node = at("operations");
const title = element("h1", { id: "operations-title", tabindex: "-1" });
const lead = element("p", { class: "lead" });
const signIn = cell("a", "", { href: SIGN_IN });
const ended = element("p", { class: "problem", role: "alert" });
node.append(title, lead, ended);
const figures = new Figures(node);
const question = new Question(at("question", HTMLDialogElement));
const letters = new Letters(at("letters"), ask, (key, values) => question.ask(key, values));
const feed = watchFigures(() => ask("ticket/", {}), (record) => figures.show(record));
const line = new ConnectionLine({
  line: at("connection"), text: at("connection-text"), next: at("connection-next"), spoken: at("connection-spoken"),
  reconnect: at("reconnect"),
}, () => feed.reconnect());

function render() {
  document.documentElement.lang = currentLanguage();
  document.title = t("operations_all_title");
  for (const each of document.querySelectorAll("[data-t]")) each.textContent = t(/** @type {HTMLElement} */ (each).dataset.t ?? "");
  at("language").lang = currentLanguage() === "ko" ? "en" : "ko";
  title.textContent = t("operations_all_title");
  lead.textContent = t("operations_all_lead");
  signIn.textContent = t("operations_sign_in");
  ended.replaceChildren(...(feed.state === "stopped" ? [signIn] : []));
  for (const part of [figures, letters, question, line]) part.render();
}

feed.on("state", (status) => {
  line.show(status);
  ended.replaceChildren(...(status.state === "stopped" ? [signIn] : []));
});
at("language").addEventListener("click", () => {
  setLanguage(currentLanguage() === "ko" ? "en" : "ko");
  render();
});
line.show(feed.status);
render();
