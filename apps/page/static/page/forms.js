// What all forms of the page do: one thing at a time, and a problem is said beside the form.

import { at } from "./dom.js";
import { complain, tryAgain } from "./sentences.js";

/** The forms in which 401 means that the password is wrong. */
const ASKING_FOR_PASSWORDS = ["sign-in", "change"];

/** Called when the server no longer knows who is signed in. @type {(problem: unknown) => void} */
let leave = () => undefined;

/** @param {(problem: unknown) => void} handler called when the server no longer knows who is signed in */
export function onSignedOut(handler) {
  leave = handler;
}

/** Runs what a form does: once at a time, its problem said beside it.
 *  @param {string} form @param {() => Promise<void>} work */
export async function attempt(form, work) {
  const fields = at(`${form}-fields`);
  if (fields.hasAttribute("disabled")) return;
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  tryAgain(`${form}-problem`);
  fields.setAttribute("disabled", "");
  /** @type {any} */
  let problem = null;
  await work().catch((error) => { problem = error; });
  fields.removeAttribute("disabled");
  if (!problem) return keepFocus(focused);
  if (problem.status === 401 && !ASKING_FOR_PASSWORDS.includes(form)) return leave(problem);
  complain(`${form}-problem`, problem);
  focused?.focus();
}

/** Gives the focus back to what was used, if the disabled form lost it. @param {HTMLElement | null} focused */
function keepFocus(focused) {
  if (document.activeElement === document.body) focused?.focus({ preventScroll: true });
}

/** @param {string} form @param {(values: {[name: string]: string}) => Promise<void>} work */
export function onSubmit(form, work) {
  const node = at(`${form}-form`, HTMLFormElement);
  node.addEventListener("submit", (event) => {
    event.preventDefault();
    const values = Object.fromEntries(new FormData(node));
    attempt(form, () => work(/** @type {{[name: string]: string}} */ (values)));
  });
}

/** Shows how much of a form's file has been sent; null hides it. Only the eye follows it: a screen reader is told of the
 *  beginning and of the job. @param {string} form @param {number | null} percent */
export function showSent(form, percent) {
  at(`${form}-sent`).hidden = percent === null;
  at(`${form}-percent`, HTMLProgressElement).value = percent ?? 0;
  at(`${form}-share`).textContent = `${percent ?? 0}%`;
}
