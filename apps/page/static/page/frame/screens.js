// The views that are loaded only when somebody opens them. Each is a module of its own, and builds its own section.

import { cell, element } from "../dom.js";
import { t } from "../strings.js";
import { LAZY } from "./addresses.js";
import { setTitle } from "./title.js";

/**
 * What a view may use of the page. `failed` gets the error of a request if another user is signed in now, or nobody.
 * @typedef {{go(address: string): void, setQuery(query: string): void, claims(): import("../api.js").Claims | null,
 *   live: import("../jobs/live.js").Live, play(id: string): Promise<void>, ask(key: string, values?: {[name: string]: string}): Promise<boolean>,
 *   failed(problem: unknown): void}} Context
 * A view builds its heading with the id `<name>-title` and the attribute `tabindex="-1"`. `show` is called for each
 * place of the view, `leave` when another view is shown, and `render` after the language was changed.
 * @typedef {{title: string, show(place: import("./addresses.js").Place): void, leave(): void, render(): void}} View
 * @typedef {{View: new (node: HTMLElement, context: Context) => View}} ViewModule
 * @typedef {{node: HTMLElement, view: View | null, loading: Promise<void>}} Screen
 */

export class Screens {
  /** @type {Map<string, Screen>} */
  #screens = new Map();
  /** @type {Screen | null} */
  #shown = null;
  #parent;
  #context;

  /** @param {HTMLElement} parent @param {Context} context */
  constructor(parent, context) {
    this.#parent = parent;
    this.#context = context;
  }

  /** Shows the view of a place. If that view is not one of these, hides all of these.
   *  @param {import("./addresses.js").Place} place @param {boolean} moveFocus to the heading of the view */
  async show(place, moveFocus) {
    const name = place.view;
    const screen = Object.hasOwn(LAZY, name) ? this.#screens.get(name) ?? this.#make(name) : null;
    if (this.#shown !== screen) this.#shown?.view?.leave();
    this.#shown = screen;
    for (const other of this.#screens.values()) other.node.hidden = other !== screen;
    if (!screen) return;
    await screen.loading;
    if (this.#shown !== screen || !screen.view) return;
    const { view, node } = screen;
    view.show(place);
    setTitle(() => view.title);
    if (moveFocus) /** @type {HTMLElement} */ (node.querySelector(`#${name}-title`)).focus({ preventScroll: true });
  }

  /** Removes all views, because another user may sign in. */
  clear() {
    this.#shown?.view?.leave();
    this.#shown = null;
    for (const { node } of this.#screens.values()) node.remove();
    this.#screens.clear();
  }

  render() {
    for (const { view } of this.#screens.values()) view?.render();
  }

  /** @param {string} name */
  #make(name) {
    const loading = cell("p", t("loading"), { class: "doing" });
    /** @type {Screen} */
    const screen = { node: element("section", { id: name }, loading), view: null, loading: Promise.resolve() };
    screen.loading = this.#load(name, screen);
    this.#screens.set(name, screen);
    this.#parent.append(screen.node);
    return screen;
  }

  /** @param {string} name @param {Screen} screen */
  async #load(name, screen) {
    try {
      const { View } = await LAZY[name]();
      screen.node.replaceChildren();
      screen.node.setAttribute("aria-labelledby", `${name}-title`);
      screen.view = new View(screen.node, this.#context);
    } catch (error) {
      console.error(error);
      const again = cell("button", t("load_again"), { type: "button" });
      again.addEventListener("click", () => location.reload()); // browsers remember that a module could not be loaded
      screen.node.replaceChildren(cell("p", t("error_offline"), { class: "problem", role: "alert" }), again);
    }
  }
}
