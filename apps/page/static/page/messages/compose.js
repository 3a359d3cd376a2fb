// The form of a new bulk message: recipients, text and preview. It asks before it sends, and sends once.

import * as api from "../api.js";
import { cell, element } from "../dom.js";
import { sentenceFor } from "../sentences.js";
import { known, t } from "../strings.js";
import { forgetDraft, keepDraft, keyFor, readDraft } from "./draft.js";
import { costInWords, doubtsOf, Preview } from "./preview.js";
import { Recipients } from "./recipients.js";
import { MAX_LETTERS, NAME, sizeInWords, sizeOf } from "./size.js";

const EXAMPLE = "홍길동";

export class Compose {
  node = element("div", { class: "compose" });
  #context;
  #draft;
  #office;
  #sending = false;
  /** @type {(() => string) | null} */
  #trouble = null;
  #preview = new Preview((error) => this.#complain(error));
  #recipients;
  #back = element("a", { href: "/messages" });
  #title = element("h1", { id: "messages-title", tabindex: "-1" });
  #lead = element("p", { class: "lead" });
  #toTitle = element("h2");
  #label = element("label", { for: "messages-text" });
  #text = /** @type {HTMLTextAreaElement} */ (element("textarea", {
    id: "messages-text", rows: "6", maxlength: `${MAX_LETTERS}`, "aria-describedby": "messages-size messages-size-hint",
  }));
  #insert = cell("button", "", { type: "button", class: "quiet" });
  #size = element("p", { id: "messages-size", class: "meta" });
  #sizeHint = element("p", { id: "messages-size-hint", class: "hint" });
  #problem = element("p", { class: "problem", role: "alert" });
  #send = cell("button", "", { class: "main" });

  /** @param {import("../frame/screens.js").Context} context @param {boolean} office whether the user may send messages */
  constructor(context, office) {
    this.#context = context;
    this.#office = office;
    this.#draft = readDraft(context.claims()?.user ?? 0);
    this.#recipients = office ? new Recipients(context, this.#draft, (byUser) => this.#changed(byUser)) : null;
    this.node.append(element("p", { class: "up" }, this.#back), this.#title, this.#lead);
    if (this.#recipients) this.#build(this.#recipients);
    this.render();
  }

  get title() {
    return t("messages_write");
  }

  open() {
    this.#changed();
  }

  close() {
    this.#recipients?.close();
    this.#preview.close();
  }

  render() {
    this.#back.textContent = t("messages_all");
    this.#title.textContent = this.title;
    this.#lead.textContent = this.#office ? t("messages_write_lead", { brace: NAME }) : t("messages_read_only");
    this.#toTitle.textContent = t("messages_to");
    this.#label.textContent = t("messages_text");
    this.#insert.textContent = t("messages_insert");
    this.#sizeHint.textContent = t("messages_size_hint");
    this.#send.textContent = t("messages_send");
    this.#problem.textContent = this.#trouble?.() ?? "";
    this.#recipients?.render();
    this.#preview.render();
    this.#renderSize();
  }

  /** @param {Recipients} recipients */
  #build(recipients) {
    const text = element("div", { class: "form-field" },
      element("div", { class: "label-line" }, this.#label, this.#insert), this.#text, this.#size, this.#sizeHint);
    const form = element("form", { class: "beside" }, element("div", {}, this.#toTitle, recipients.node, text),
      this.#preview.node, element("div", {}, this.#problem, this.#send));
    this.node.append(form);
    this.#text.value = this.#draft.text;
    this.#text.addEventListener("input", () => this.#changed());
    this.#insert.addEventListener("click", () => {
      this.#text.focus();
      document.execCommand("insertText", false, NAME); // unlike a new value, this can be undone with Ctrl-Z
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
  }

  /** The request as it is now, or null if something is missing. */
  get #request() {
    const chosen = this.#recipients?.chosen;
    const { text, to } = this.#draft;
    return chosen && text.trim() ? { text: text.trim(), to, ...chosen } : null;
  }

  /** @param {boolean} [byUser] what is only loaded leaves the problem on the page */
  #changed(byUser = true) {
    if (!this.#recipients) return;
    this.#draft.text = this.#text.value;
    keepDraft(this.#draft);
    if (byUser) this.#complain(null);
    this.#renderSize();
    this.#preview.show(this.#request);
  }

  #renderSize() {
    const { text } = this.#draft;
    const size = sizeInWords(sizeOf(text.trim().replaceAll(NAME, EXAMPLE)));
    this.#size.textContent = text.includes(NAME) ? t("messages_size_example", { size }) : size;
  }

  /** Says what is missing, and moves the focus there. */
  #missing() {
    const { text, by } = this.#draft;
    if (!this.#recipients?.chosen) {
      this.#recipients?.focus();
      return by === "lecture" ? "messages_need_lecture" : "messages_need_students";
    }
    if (text.trim()) return "";
    this.#text.focus();
    return "messages_need_text";
  }

  async #submit() {
    const missing = this.#missing();
    if (this.#sending) return;
    this.#say(missing ? () => t(missing) : null);
    const request = this.#request;
    if (!request) return;
    this.#sending = true; // a second click does nothing
    try {
      const preview = await this.#preview.read(request);
      if (preview.messages === 0) this.#say(() => t("messages_need_numbers"));
      else if (await this.#asked(preview)) await this.#post(request);
    } catch (error) {
      this.#complain(error);
    }
    this.#sending = false;
  }

  /** @param {import("./preview.js").Answer} preview */
  #asked(preview) {
    const hint = preview.without_number ? t("messages_number_hint") : "";
    const details = [costInWords(preview), ...doubtsOf(preview), hint].filter(Boolean).join("\n");
    return this.#context.ask("messages_ask", { numbers: `${preview.numbers}`, messages: `${preview.messages}`, details });
  }

  /** @param {object} request */
  async #post(request) {
    const idempotency_key = keyFor(this.#draft, request);
    this.#busy(true);
    try {
      const { job_id } = await api.callJson("/api/v1/messages/", { json: { ...request, idempotency_key } });
      forgetDraft();
      this.#context.go(`/messages/${job_id}`);
    } catch (error) {
      const { status } = /** @type {api.ApiError} */ (error);
      if (status !== 0 && status < 500) throw error;
      this.#say(() => t("messages_unsure"));
    } finally {
      this.#busy(false);
    }
  }

  /** @param {boolean} posting */
  #busy(posting) {
    this.#send.setAttribute("aria-disabled", `${posting}`); // a disabled button would lose the focus
    this.#send.textContent = t(posting ? "messages_sending" : "messages_send");
  }

  /** @param {any} error */
  #complain(error) {
    if (error?.status === 401) return this.#context.failed(error);
    const field = Object.keys(error?.fields ?? {}).find((name) => known(`messages_wrong_${name}`));
    this.#say(field ? () => t(`messages_wrong_${field}`) : error && sentenceFor(error));
  }

  /** @param {(() => string) | null} sentence */
  #say(sentence) {
    this.#trouble = sentence;
    this.#problem.textContent = sentence?.() ?? "";
  }
}
