// The view of messages: the list of bulk messages, the form of a new one, and the page of each of them.

import { element } from "../dom.js";
import { addWords } from "../strings.js";
import { Compose } from "./compose.js";
import { MessageDetail } from "./detail.js";
import { MessageList } from "./list.js";
import { WORDS } from "./words.js";

addWords(WORDS);

const OFFICE = ["owner", "staff"];

/** @typedef {{node: HTMLElement, title: string, open(query: string): void, close(): void, render(): void}} Part */

export class View {
  /** @type {Part | null} */
  #part = null;
  #id = "";
  #node;
  #context;

  /** @param {HTMLElement} node @param {import("../frame/screens.js").Context} context */
  constructor(node, context) {
    this.#context = context;
    this.#node = element("div", { class: "messages" });
    node.append(this.#node);
  }

  get title() {
    return this.#part?.title ?? "";
  }

  /** @param {import("../frame/addresses.js").Place} place */
  show({ id }) {
    if (!this.#part || id !== this.#id) {
      this.#part?.close();
      this.#id = id;
      this.#part = this.#make(id);
      this.#node.replaceChildren(this.#part.node);
    }
    this.#part.open(location.search.slice(1));
  }

  leave() {
    this.#part?.close();
    this.#part = null;
  }

  render() {
    this.#part?.render();
  }

  /** @param {string} id @returns {Part} */
  #make(id) {
    const office = OFFICE.includes(this.#context.claims()?.role ?? "");
    if (id === "") return new MessageList(this.#context, office);
    return id === "new" ? new Compose(this.#context, office) : new MessageDetail(this.#context, office, id);
  }
}
