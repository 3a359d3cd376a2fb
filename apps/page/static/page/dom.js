// Making nodes, and finding those of the page.

/**
 * Find an element of the page by its id. `kind` is its class, where more is used than every element has.
 * @template {HTMLElement} T
 * @overload @param {string} id @param {new () => T} kind @returns {T}
 */
/** @overload @param {string} id @returns {HTMLElement} */
/** @param {string} id @param {new () => HTMLElement} kind */
export function at(id, kind = HTMLElement) {
  const found = document.getElementById(id);
  if (found instanceof kind) return found;
  throw new Error(`The page has no ${kind.name} with the id ${id}.`);
}

/** @param {string} tag @param {{[name: string]: string}} [attributes] @param {Node[]} children */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** @param {string} tag @param {string} text @param {{[name: string]: string}} [attributes] */
export function cell(tag, text, attributes) {
  const node = element(tag, attributes);
  node.textContent = text;
  return node;
}

/**
 * Draws the rows of a list again. If an element in a row has the focus, the same element of the new row gets it.
 * Each row has an attribute `data-row` that only this row has.
 * @param {HTMLElement} list @param {() => void} draw
 */
export function keepingFocus(list, draw) {
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  const row = focused && list.contains(focused) ? /** @type {HTMLElement | null} */ (focused.closest("[data-row]")) : null;
  const place = row && focused ? partsOf(row).indexOf(focused) : -1;
  draw();
  if (!row || list.contains(document.activeElement)) return;
  const drawn = /** @type {HTMLElement | null} */ (list.querySelector(`[data-row="${CSS.escape(row.dataset.row ?? "")}"]`));
  if (drawn) partsOf(drawn)[place]?.focus({ preventScroll: true });
}

/** The elements of a row that can have the focus. @param {HTMLElement} row */
function partsOf(row) {
  return /** @type {HTMLElement[]} */ ([...row.querySelectorAll("a, button, input, select")]);
}

/** Disables a button while its work runs. The browser takes the focus from a disabled button, so the button gets it back.
 *  @param {HTMLElement} button @param {() => Promise<void>} work */
export async function whileDisabled(button, work) {
  const focused = document.activeElement === button;
  button.setAttribute("disabled", "");
  try {
    await work();
  } finally {
    button.removeAttribute("disabled");
  }
  if (focused && document.activeElement === document.body) button.focus({ preventScroll: true });
}
