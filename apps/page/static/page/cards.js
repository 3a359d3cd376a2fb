// A list of cards: which of them are shown, and in which order.

const AT_FIRST = 10;
const A_PAGE = 20;

/**
 * @typedef {import("../realtime/client.js").Record} Record
 * @typedef {{node: HTMLElement, name: string, record: Record, update(record: Record): void, render(): void}} Card
 * @typedef {(record: Record) => Card | null} MakeCard  Null: this record is no matter of the list.
 */

export class Cards {
  /** @type {Map<string, Card>} */
  #cards = new Map();
  /** When each began, as far as this page knows: its place in the list. @type {Map<string, number>} */
  #began = new Map();
  #shown = AT_FIRST;
  #place;
  #make;

  /** @param {{list: HTMLElement, none: HTMLElement, more: HTMLButtonElement}} place
   *  @param {MakeCard} make */
  constructor(place, make) {
    this.#place = place;
    this.#make = make;
    place.more.onclick = () => {
      this.#shown += A_PAGE;
      this.#arrange();
    };
  }

  /** @param {Record} record */
  show(record) {
    const { topic, status } = record;
    const card = this.#cards.get(topic);
    if (status === "UNKNOWN" || record.data?.deleted) this.remove(topic);
    else if (card) card.update(record);
    else this.#add(topic, record);
  }

  /** @param {string} topic */
  remove(topic) {
    this.#began.delete(topic);
    if (this.#cards.delete(topic)) this.#arrange();
  }

  /** @param {string} topic */
  card(topic) {
    return this.#cards.get(topic);
  }

  /** Puts one where another is in the list, or was. @param {string} topic @param {string} other */
  takePlace(topic, other) {
    const began = this.#began.get(other);
    if (began !== undefined) this.began(topic, began);
  }

  /** @param {string} topic @param {Record} record */
  #add(topic, record) {
    const added = this.#make(record);
    if (!added) return;
    this.#cards.set(topic, added);
    if (!this.#began.has(topic)) this.#began.set(topic, record.published_at ?? Date.now() / 1000);
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
}
