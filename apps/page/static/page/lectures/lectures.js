// The views of lectures: the list of all, and a lecture with its students, lessons and videos.

import { addWords } from "../strings.js";
import { Lecture } from "./lecture.js";
import { List } from "./list.js";
import { WORDS } from "./words.js";

addWords(WORDS);

export class View {
  /** @type {List | Lecture | null} */
  #part = null;
  #node;
  #context;

  /** @param {HTMLElement} node @param {import("../frame/screens.js").Context} context */
  constructor(node, context) {
    this.#node = node;
    this.#context = context;
  }

  get title() {
    return this.#part?.title ?? "";
  }

  /** @param {import("../frame/addresses.js").Place} place */
  show({ id }) {
    this.#part?.leave();
    this.#part = id ? new Lecture(this.#context, id) : new List(this.#context);
    this.#node.replaceChildren(this.#part.node);
    this.#part.show();
  }

  leave() {
    this.#part?.leave();
  }

  render() {
    this.#part?.render();
  }
}
