// The operators' page of an academy's owner: the figures of the academy, on a connection of their own while they are shown.

import * as api from "../api.js";
import { element } from "../dom.js";
import { addWords, stateFor, t } from "../strings.js";
import { Figures } from "./figures.js";
import { TOPIC, watchFigures } from "./watch.js";
import { WORDS } from "./words.js";

addWords(WORDS);

const ticket = () => api.callJson("/api/v1/realtime/ticket/", { json: { topics: [TOPIC] } });

export class View {
  #title = element("h1", { id: "operations-title", tabindex: "-1" });
  #lead = element("p", { class: "lead" });
  #state = element("p", { class: "problem", role: "status" });
  #figures;
  /** @type {import("../../realtime/client.js").Feed | null} */
  #feed = null;

  /** @param {HTMLElement} node */
  constructor(node) {
    node.append(this.#title, this.#lead, this.#state);
    this.#figures = new Figures(node);
    this.render();
  }

  get title() {
    return t("operations_title");
  }

  show() {
    if (this.#feed) return;
    this.#feed = watchFigures(ticket, (record) => this.#figures.show(record));
    this.#feed.on("state", () => this.#renderState());
  }

  leave() {
    this.#feed?.close();
    this.#feed = null;
    this.#figures.close();
    this.#renderState();
  }

  render() {
    this.#title.textContent = this.title;
    this.#lead.textContent = t("operations_lead");
    this.#figures.render();
    this.#renderState();
  }

  #renderState() {
    const { state = "live", reason = "" } = this.#feed?.status ?? {};
    this.#state.textContent = ["connecting", "live", "polling"].includes(state) ? "" : stateFor(state, reason);
  }
}
