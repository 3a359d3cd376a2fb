// The preview of a bulk message: its texts with real names, its size and cost, and what to look at before it is sent.

import * as api from "../api.js";
import { cell, element } from "../dom.js";
import { number, t } from "../strings.js";
import { phone, sizeInWords } from "./size.js";

const PAUSE_MS = 700;
const SHOWN = 5; // students or numbers that are named; the others are counted

/**
 * @typedef {{name: string, recipient: string, text: string, letters: number, bytes: number, cost_class: string}} Sample
 * @typedef {{recipients: number, messages: number, numbers: number, without_number: number, without_number_names: string[],
 *   shared_numbers: number, shared: {recipient: string, messages: number, names: string[]}[], samples: Sample[], longest: Sample,
 *   unsendable: string, classes: {[kind: string]: number}, prices: {[kind: string]: number | null}, cost: number | null}} Answer
 */

export class Preview {
  #title = element("h2", { id: "messages-preview" });
  #wait = element("span", { class: "meta" });
  #body = element("div");
  /** @type {Answer | null} */
  #answer = null;
  /** The request that the answer belongs to. */
  #answered = "";
  #asked = "";
  #timer = 0;
  /** @type {(error: any) => void} */
  #onProblem;

  node = element("section", { class: "preview", "aria-labelledby": "messages-preview" },
    element("div", { class: "label-line" }, this.#title, this.#wait), this.#body);

  /** @param {(error: any) => void} onProblem takes an error, or null after an answer */
  constructor(onProblem) {
    this.#onProblem = onProblem;
  }

  /** Shows the preview of a request after a short pause. Without a request, there is no preview.
   *  @param {object | null} request */
  show(request) {
    const asked = request ? JSON.stringify(request) : "";
    if (asked === this.#asked) return;
    this.#asked = asked;
    clearTimeout(this.#timer);
    if (request) this.#timer = setTimeout(() => this.read(request).catch((error) => asked === this.#asked && this.#onProblem(error)), PAUSE_MS);
    this.render();
  }

  /** Returns the preview of a request. Asks the API only if this preview is not shown already.
   *  @param {object} request @returns {Promise<Answer>} */
  async read(request) {
    const asked = JSON.stringify(request);
    this.#asked = asked;
    clearTimeout(this.#timer);
    if (this.#answer && this.#answered === asked) return this.#answer;
    const answer = await api.callJson("/api/v1/messages/preview/", { json: request });
    if (asked !== this.#asked) return answer; // something was changed meanwhile
    this.#answer = answer;
    this.#answered = asked;
    this.#onProblem(null);
    this.render();
    return answer;
  }

  close() {
    clearTimeout(this.#timer);
    this.#asked = "";
  }

  render() {
    this.#title.textContent = t("messages_preview");
    const old = this.#asked !== "" && this.#asked !== this.#answered;
    this.node.dataset.old = `${old}`;
    this.#wait.textContent = old ? t("messages_preview_wait") : "";
    if (!this.#asked) this.#body.replaceChildren(cell("p", t("messages_preview_empty"), { class: "hint" }));
    else this.#body.replaceChildren(...(this.#answer ? this.#parts(this.#answer) : []));
  }

  /** @param {Answer} answer */
  #parts(answer) {
    const { messages, numbers, samples, longest } = answer;
    const shown = samples.map((sample) => bubble(sample, sample.name));
    if (!samples.some(({ text }) => text === longest.text)) shown.push(bubble(longest, `${t("messages_longest")} · ${longest.name}`));
    const warnings = warningsOf(answer);
    return [
      cell("p", t("messages_people", { messages, numbers }), { class: "people" }),
      ...(warnings.length ? [element("ul", { class: "warnings" }, ...warnings)] : []),
      counts(answer),
      ...shown,
    ];
  }
}

/** How many messages of each class there are, and their cost, in words. @param {Answer} answer */
export function costInWords({ classes, cost }) {
  const parts = Object.entries(classes).filter(([, n]) => n > 0)
    .map(([kind, n]) => `${t(`messages_count_${kind}`)} ${t("messages_pieces", { n })}`);
  if (cost !== null) parts.push(`${t("messages_count_cost")} ${won(cost)}`);
  return parts.join(" · ");
}

/** Warnings of what may be wrong with the message. @param {Answer} answer */
export function doubtsOf({ without_number, without_number_names, shared_numbers, classes, unsendable }) {
  return [
    without_number ? t("messages_warn_no_number", { n: without_number, names: names(without_number_names, without_number) }) : "",
    shared_numbers ? t("messages_warn_shared", { n: shared_numbers }) : "",
    classes.too_long ? t("messages_warn_too_long", { n: classes.too_long }) : "",
    unsendable ? t("messages_warn_letters", { letters: [...unsendable].join(" ") }) : "",
  ];
}

/** @param {Answer} answer */
function warningsOf(answer) {
  const doubts = doubtsOf(answer);
  const lines = answer.shared.slice(0, SHOWN).map(({ recipient, messages: n, names: who }) => (
    t("messages_shared_line", { phone: phone(recipient), n, names: names(who, n) })));
  const more = answer.shared_numbers - lines.length;
  const shared = element("ul", {}, ...[...lines, ...(more > 0 ? [t("messages_shared_more", { n: more })] : [])].map((text) => cell("li", text)));
  const hint = element("p", {}, cell("span", `${t("messages_number_hint")} `), cell("a", t("messages_to_students"), { href: "/students" }));
  return doubts.flatMap((doubt, index) => {
    if (!doubt) return [];
    const line = cell("li", doubt);
    if (index === 0) line.append(hint);
    if (index === 1) line.append(shared);
    return [line];
  });
}

/** The first names, and how many others there are. @param {string[]} known @param {number} all */
function names(known, all) {
  const shown = known.slice(0, SHOWN);
  const list = shown.join(", ");
  return shown.length < all ? t("messages_and_more", { names: list, n: all - shown.length }) : list;
}

/** @param {Answer} answer */
function counts({ classes, prices, cost }) {
  const kinds = Object.entries(classes).filter(([kind, n]) => n > 0 || kind === "sms").map(([kind, n]) => {
    const price = prices[kind];
    return [t(`messages_count_${kind}`), price == null ? t("messages_pieces", { n }) : t("messages_piece_price", { n, price: number(price) })];
  });
  if (cost !== null) kinds.push([t("messages_count_cost"), won(cost)]);
  return element("dl", { class: "counts" }, ...kinds.map(([term, value]) => element("div", {}, cell("dt", term), cell("dd", value))));
}

/** @param {number} cost */
const won = (cost) => t("messages_won", { cost: number(cost) });

/** @param {Sample} sample @param {string} title */
function bubble({ recipient, text, letters, bytes, cost_class }, title) {
  return element("figure", {}, cell("figcaption", [title, phone(recipient)].filter(Boolean).join(" · ")),
    cell("blockquote", text), cell("p", sizeInWords({ letters, bytes, kind: cost_class }), { class: "meta" }));
}
