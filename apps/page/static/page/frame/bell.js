// Tells of long jobs that end while the tab is hidden: with a number in the title, and with a notification if allowed.

import { isTerminal } from "../../realtime/client.js";
import * as storage from "../storage.js";
import { addressOf } from "./addresses.js";
import { setUnseen } from "./title.js";

const LONG_SECONDS = 30;
const ASKED = "academy.notifications-asked";

/** @typedef {import("../jobs/register.js").Work} Work */

export class Bell {
  /** Topics of jobs that this tab has seen running. @type {Set<string>} */
  #running = new Set();
  #unseen = 0;
  #button;
  #sentence;
  #open;

  /** @param {HTMLElement} button asks for the permission @param {(work: Work) => string} sentence
   *  @param {(address: string) => void} open */
  constructor(button, sentence, open) {
    this.#button = button;
    this.#sentence = sentence;
    this.#open = open;
    button.addEventListener("click", () => this.#ask());
    addEventListener("visibilitychange", () => document.hidden || this.#seen());
    this.#offer();
  }

  /** @param {Work} work */
  note(work) {
    const { topic, record, began } = work;
    if (!isTerminal(record)) {
      this.#running.add(topic);
    } else if (this.#running.delete(topic)) {
      const long = (record.published_at ?? 0) - began >= LONG_SECONDS;
      if (document.hidden && long && !record.data?.deleted) this.#ring(work);
    }
  }

  clear() {
    this.#running.clear();
    this.#seen();
  }

  /** @param {Work} work */
  #ring(work) {
    setUnseen((this.#unseen += 1));
    if (!("Notification" in globalThis) || Notification.permission !== "granted") return;
    try {
      // All tabs use the same tag, so that the browser shows one notification.
      const shown = new Notification(this.#sentence(work), { tag: `${work.topic} ${work.record.attempt}` });
      shown.onclick = () => {
        focus();
        this.#open(addressOf(work.topic));
      };
    } catch {
      // Some browsers of phones allow notifications to service workers only. The title still shows the number.
    }
  }

  #seen() {
    setUnseen((this.#unseen = 0));
  }

  #offer() {
    const possible = "Notification" in globalThis && Notification.permission === "default";
    this.#button.hidden = !possible || storage.read("localStorage", ASKED) !== null;
  }

  async #ask() {
    storage.write("localStorage", ASKED, "yes");
    await Notification.requestPermission();
    this.#offer();
  }
}
