// The sentences that the page shows: each in its element, in the chosen language.

import { at } from "./dom.js";
import { explain } from "./strings.js";

/** Elements that say that the server cannot be reached, by their ids. @type {Set<string>} */
const unreachable = new Set();
/** What each element says, so that it can be said again in another language. @type {Map<string, () => string>} */
const said = new Map();

/** Shows what `sentence` gives in the element, in whichever language; null clears it.
 *  @param {string} id @param {(() => string) | null} sentence */
export function say(id, sentence) {
  if (sentence) said.set(id, sentence);
  else said.delete(id);
  at(id).textContent = sentence?.() ?? "";
}

/** @param {any} error */
export function sentenceFor(error) {
  const field = Object.values(error.fields ?? {}).flat()[0]; // says more than the code "invalid" does
  const values = {
    seconds: Math.ceil((error.retryAfterMs ?? 0) / 1000),
    n: Number(/\d+/.exec(error.message)?.[0] ?? 0), // a limit is the only number in the server's sentence
  };
  return () => explain("error", error.code ?? "internal", field ?? error.message, values);
}

/** Says what went wrong; what is over when the server answers again goes then. @param {string} id @param {any} error */
export function complain(id, error) {
  if (error.code === "offline") unreachable.add(id);
  else unreachable.delete(id);
  say(id, sentenceFor(error));
}

/** Forgets that the server could not be reached when this was tried last. @param {string} id */
export function tryAgain(id) {
  unreachable.delete(id);
  say(id, null);
}

/** Takes back what was said while the server could not be reached. Returns the ids of the elements that said so. */
export function reached() {
  const ids = [...unreachable];
  for (const id of ids) say(id, null);
  unreachable.clear();
  return ids;
}

/** Says everything again, in the chosen language. */
export function repeat() {
  for (const [id, sentence] of said) at(id).textContent = sentence();
}
