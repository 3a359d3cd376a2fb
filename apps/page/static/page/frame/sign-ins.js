// The dialog that lists the sign-ins of the account, so that its owner can end those of unknown devices.

import * as api from "../api.js";
import { cell, element } from "../dom.js";
import { explain, t, when } from "../strings.js";

/** Names in a user agent, the most specific first, because many browsers also call themselves Chrome or Safari. */
const BROWSERS = [["Edg", "Edge"], ["Whale", "Whale"], ["SamsungBrowser", "Samsung Internet"], ["OPR", "Opera"],
  ["Firefox", "Firefox"], ["FxiOS", "Firefox"], ["CriOS", "Chrome"], ["Chrome", "Chrome"], ["Safari", "Safari"]];
const SYSTEMS = [["iPhone", "iPhone"], ["iPad", "iPad"], ["Android", "Android"], ["Windows", "Windows"],
  ["Mac OS X", "macOS"], ["CrOS", "ChromeOS"], ["Linux", "Linux"]];

/** @param {string} agent */
function device(agent) {
  /** @param {string[][]} names */
  const find = (names) => names.find(([word]) => agent.includes(word))?.[1];
  return [find(BROWSERS), find(SYSTEMS)].filter(Boolean).join(" · ") || agent.split(/[ /]/)[0] || t("unknown_device");
}

/** @param {string} time */
const spoken = (time) => when(Date.parse(time) / 1000);

/** A sign-in in a list, with a button that ends it if it is not the one of this page.
 *  @param {api.SignIn} one @param {(id: string, name: string) => void} end */
export function signInLine(one, end) {
  const name = device(one.user_agent);
  const lines = [t("last_used", { time: spoken(one.last_used_at) }), t("signed_in_at", { time: spoken(one.created_at) }), one.address ?? ""];
  const what = element("div", {}, cell("h3", name), element("p", { class: "meta facts" }, ...lines.filter(Boolean).map((line) => cell("span", `${line} `))));
  if (one.current) return element("li", {}, what, cell("span", t("this_device"), { class: "chip" }));
  const button = cell("button", t("end_sign_in"), { type: "button", "aria-label": t("end_sign_in_named", { name, time: spoken(one.last_used_at) }) });
  button.addEventListener("click", () => end(one.id, name));
  return element("li", {}, what, button);
}

export class SignIns {
  /** @type {api.SignIn[]} */
  #found = [];
  /** @type {(() => string) | null} */
  #said = null;
  #dialog;
  #list;
  #others;
  #status;

  /** @param {HTMLDialogElement} dialog */
  constructor(dialog) {
    this.#dialog = dialog;
    this.#list = /** @type {HTMLElement} */ (dialog.querySelector("ul"));
    this.#status = /** @type {HTMLElement} */ (dialog.querySelector("[role=status]"));
    this.#others = /** @type {HTMLButtonElement} */ (dialog.querySelector(".others"));
    dialog.querySelector("header button")?.addEventListener("click", () => dialog.close());
    this.#others.addEventListener("click", () => this.#end(undefined, () => t("sign_ins_ended")));
  }

  async open() {
    this.#found = [];
    this.#say(() => t("loading"));
    this.render();
    this.#dialog.showModal();
    await this.#read(null);
  }

  close() {
    this.#dialog.close();
  }

  /** Writes everything again, in the chosen language. */
  render() {
    this.#list.replaceChildren(...this.#found.map((one) => signInLine(one, (id, name) => this.#end(id, () => t("sign_in_ended", { name })))));
    this.#others.hidden = this.#found.length < 3; // a single other sign-in has a button of its own
    this.#status.textContent = this.#said?.() ?? "";
  }

  /** @param {string | undefined} id @param {() => string} done */
  async #end(id, done) {
    for (const button of this.#dialog.querySelectorAll("button")) button.disabled = true;
    try {
      await api.endSignIn(id);
    } catch (error) {
      if (!(error instanceof api.ApiError && error.status === 404)) return this.#failed(error); // 404: ended already
    } finally {
      for (const button of this.#dialog.querySelectorAll("button")) button.disabled = false;
    }
    await this.#read(done);
    /** @type {HTMLElement | null} */ (this.#dialog.querySelector("h2"))?.focus(); // the button that was used is gone
  }

  /** @param {(() => string) | null} done */
  async #read(done) {
    try {
      this.#found = await api.signIns();
      this.#say(done);
    } catch (error) {
      this.#failed(error);
    }
  }

  /** @param {unknown} error */
  #failed(error) {
    const { code, message } = /** @type {api.ApiError} */ (error);
    this.#say(() => explain("error", code ?? "internal", message));
  }

  /** @param {(() => string) | null} sentence */
  #say(sentence) {
    this.#said = sentence;
    this.render();
  }
}
