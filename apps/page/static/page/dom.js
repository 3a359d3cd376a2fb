// Making nodes, and finding those of the page.

/** @param {string} id @returns {any} the element, of whichever kind the page has there */
export const at = (id) => document.getElementById(id);

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
