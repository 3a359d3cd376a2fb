// A list of cards: which stand, in which order, and what is said aloud about them.

import { isTerminal } from "../realtime/client.js";
import { t } from "./strings.js";

const AT_FIRST = 10;
const A_PAGE = 20;

/**
 * @typedef {import("../realtime/client.js").Record} Record
 * @typedef {{node: HTMLElement, name: string, record: Record, update(record: Record): void, render(): void}} Card
 * @typedef {(record: Record) => Card | null} MakeCard  Null: this record is no matter of the list.
 * @typedef {(record: Record, name: string) => string} Ending  The sentence for something that has ended.
 */

export class Cards {
  /** @type {Map<string, Card>} */
  #cards = new Map();
  /** When each began, as far as this page knows: its place in the list. @type {Map<string, number>} */
  #began = new Map();
  #shown = AT_FIRST;
  #place;
  #make;
  #ending;
  /** Sentences are for what happens, not for what was there when the page came. */
  speaking = false;

  /** @param {{list: HTMLElement, none: HTMLElement, more: HTMLButtonElement, spoken: HTMLElement}} place
   *  @param {MakeCard} make @param {Ending} ending */
  constructor(place, make, ending) {
    this.#place = place;
    this.#make = make;
    this.#ending = ending;
    place.more.onclick = () => {
      this.#shown += A_PAGE;
      this.#arrange();
    };
  }

  /** @param {Record} record */
  show(record) {
    const { topic, status } = record;
    const card = this.#cards.get(topic);
    if (status === "UNKNOWN") {
      this.remove(topic);
    } else if (record.data?.deleted) {
      if (card && this.speaking) this.#place.spoken.textContent = t("said_deleted", { name: card.name });
      this.remove(topic);
    } else if (card) {
      const before = card.record;
      card.update(record);
      this.#speak(card.name, before, record);
    } else {
      this.#add(topic, record);
    }
  }

  /** @param {string} topic */
  remove(topic) {
    this.#cards.delete(topic);
    this.#arrange();
  }

  /** @param {string} topic @param {Record} record */
  #add(topic, record) {
    const added = this.#make(record);
    if (!added) return;
    this.#cards.set(topic, added);
    if (!this.#began.has(topic)) this.#began.set(topic, record.published_at ?? Date.now() / 1000);
    this.#speak(added.name, null, record);
    this.#arrange();
  }

  /** @param {string} topic @param {number} seconds since 1970 */
  began(topic, seconds) {
    this.#began.set(topic, seconds);
    this.#arrange();
  }

  render() {
    for (const card of this.#cards.values()) card.render();
  }

  clear() {
    this.#cards.clear();
    this.#began.clear();
    this.#shown = AT_FIRST;
    this.speaking = false;
    this.#arrange();
  }

  /** Newest first. A card moves only if it has to: moving it would take the focus from what is inside. */
  #arrange() {
    const { list, none, more } = this.#place;
    const topics = [...this.#cards.keys()].sort((a, b) => (this.#began.get(b) ?? 0) - (this.#began.get(a) ?? 0));
    const nodes = topics.slice(0, this.#shown).map((topic) => /** @type {Card} */ (this.#cards.get(topic)).node);
    for (const node of [...list.children]) if (!nodes.includes(/** @type {HTMLElement} */ (node))) node.remove();
    nodes.forEach((node, index) => {
      if (list.children[index] !== node) list.insertBefore(node, list.children[index] ?? null);
    });
    none.hidden = topics.length > 0;
    more.hidden = topics.length <= this.#shown;
  }

  /** @param {string} name @param {Record | null} before @param {Record} record */
  #speak(name, before, record) {
    if (!this.speaking) return;
    let said = "";
    if (!before && !isTerminal(record)) said = t("said_started", { name });
    else if (before && record.stalled && !before.stalled) said = t("said_stalled", { name });
    else if (before && isTerminal(record) && !isTerminal(before)) said = this.#ending(record, name);
    if (said) this.#place.spoken.textContent = said;
  }
}
