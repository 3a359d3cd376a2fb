// Which jobs the list shows: by kind, by whether they run, and by a text. The choice is kept in the address.

import { isTerminal } from "../../realtime/client.js";
import { at } from "../dom.js";
import { kindName, kindOf, nameOf } from "../jobs/kinds.js";
import { t } from "../strings.js";

const STATES = ["", "running", "ended"];
const KINDS = ["excel_parsing", "student_export", "bulk_message", "video"];

/** @typedef {import("../jobs/register.js").Work} Work */

export class Filters {
  #kind = at("now-kind", HTMLSelectElement);
  #state = at("now-state", HTMLSelectElement);
  #text = at("now-text", HTMLInputElement);
  /** The kinds to choose from: the known ones, and those of jobs that are here. */
  #kinds = new Set(KINDS);

  /** @param {(query: string) => void} onChange called with the query of the address */
  constructor(onChange) {
    at("now-filters").addEventListener("input", () => onChange(this.query));
    at("now-filters").addEventListener("submit", (event) => event.preventDefault());
    this.render();
  }

  /** The choice as the query of an address. */
  get query() {
    const chosen = { kind: this.#kind.value, state: this.#state.value, text: this.#text.value.trim() };
    return `${new URLSearchParams(Object.entries(chosen).filter(([, value]) => value))}`;
  }

  /** Takes the choice from the address. @param {string} query */
  read(query) {
    const chosen = new URLSearchParams(query);
    const kind = chosen.get("kind") ?? "";
    if (kind) this.#kinds.add(kind);
    this.render();
    this.#kind.value = kind;
    this.#state.value = STATES.includes(chosen.get("state") ?? "") ? chosen.get("state") ?? "" : "";
    this.#text.value = chosen.get("text") ?? "";
  }

  /** @param {Work} work */
  admit({ record, detail }) {
    const text = this.#text.value.trim().toLocaleLowerCase();
    const ended = isTerminal(record);
    if (this.#kind.value && this.#kind.value !== kindOf(record)) return false;
    if (this.#state.value && (this.#state.value === "ended") !== ended) return false;
    return [nameOf(record), kindName(kindOf(record)), detail?.by ?? ""].join("\n").toLocaleLowerCase().includes(text);
  }

  /** Offers this kind, too. @param {Work} work */
  offer({ record }) {
    const kind = kindOf(record);
    if (this.#kinds.has(kind)) return;
    this.#kinds.add(kind);
    this.render();
  }

  /** Writes the words of the choices, in the chosen language. */
  render() {
    const { value: kind } = this.#kind;
    const { value: state } = this.#state;
    this.#kind.replaceChildren(new Option(t("all_kinds"), ""), ...[...this.#kinds].map((one) => new Option(kindName(one), one)));
    this.#state.replaceChildren(...STATES.map((one) => new Option(t(`state_${one || "all"}`), one)));
    this.#kind.value = kind;
    this.#state.value = state;
  }
}
