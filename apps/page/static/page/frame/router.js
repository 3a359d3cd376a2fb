// Shows the view of the present address. Links of the page change the address without loading anything, and the buttons
// Back and Forward of the browser work.

import { placeOf } from "./addresses.js";

export class Router {
  #onMove;

  /** @param {() => void} onMove called after the address has changed */
  constructor(onMove) {
    this.#onMove = onMove;
    addEventListener("popstate", onMove);
    document.addEventListener("click", (event) => this.#follow(event));
  }

  /** What the present address shows. It is the first view if the page does not know the address. */
  get place() {
    return placeOf(location.pathname) ?? { view: "now", topic: "", id: "" };
  }

  /** @param {string} address */
  go(address) {
    if (address !== location.pathname + location.search) history.pushState(null, "", address);
    scrollTo(0, 0);
    this.#onMove();
  }

  /** Changes the query of the address without a new entry in the browser's history. @param {string} query */
  replaceQuery(query) {
    history.replaceState(null, "", location.pathname + (query && `?${query}`));
  }

  /** @param {MouseEvent} event */
  #follow(event) {
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    const elsewhere = event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
    if (!link || elsewhere || link.target || link.hasAttribute("download")) return;
    if (link.origin !== location.origin || !placeOf(link.pathname)) return;
    event.preventDefault();
    this.go(link.pathname + link.search);
  }
}
