// Follows the address: links of the page change it without loading anything, and back and forward work.

import { placeOf } from "./addresses.js";

export class Router {
  #onMove;

  /** @param {() => void} onMove called after the address has changed */
  constructor(onMove) {
    this.#onMove = onMove;
    addEventListener("popstate", onMove);
    document.addEventListener("click", (event) => this.#follow(event));
  }

  /** What the present address shows. An address that only the server could know is like the first view. */
  get place() {
    return placeOf(location.pathname) ?? { view: "now", topic: "", id: "" };
  }

  /** @param {string} address */
  go(address) {
    if (address !== location.pathname + location.search) history.pushState(null, "", address);
    scrollTo(0, 0);
    this.#onMove();
  }

  /** Changes what follows the `?`, in place of the present entry of the history. @param {string} query */
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
