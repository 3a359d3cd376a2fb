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
