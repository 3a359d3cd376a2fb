// The view "people": the accounts of the academy, and each account at an address of its own.

import { cell, element } from "../dom.js";
import { setTitle } from "../frame/title.js";
import { t } from "../strings.js";
import { PeopleList } from "./list.js";
import { PersonPanel } from "./person.js";
import "./words.js";

/** @typedef {import("./facts.js").Person} Person */

export class View {
  #id = "";
  /** The account that is shown, once it was read. @type {Person | null} */
  #person = null;
  /** The id of the account that has just been added, whose page says so. */
  #added = 0;
  #up = element("p", { class: "up" });
  #heading = element("h1", { id: "people-title", tabindex: "-1" });
  #lead = element("p", { class: "lead" });
  #list;
  #panel;

  /** @param {HTMLElement} node @param {import("../frame/screens.js").Context} context */
  constructor(node, context) {
    this.#list = new PeopleList(context, ({ id }) => {
      this.#added = id;
      context.go(`/people/${id}`);
    });
    this.#panel = new PersonPanel(context, (person) => {
      this.#person = person;
      this.#renderHead();
    });
    node.append(this.#up, this.#heading, this.#lead, this.#list.node, this.#panel.node);
    this.#renderHead();
  }

  get title() {
    return this.#heading.textContent ?? "";
  }

  /** @param {import("../frame/addresses.js").Place} place */
  show({ id }) {
    this.#panel.leave();
    this.#id = id;
    this.#person = null;
    this.#list.node.hidden = Boolean(id);
    this.#panel.node.hidden = !id;
    this.#renderHead();
    if (!id) return this.#list.open(location.search);
    this.#panel.show(id, `${this.#added}` === id ? "people_added" : null).then(() => this.#renderHead());
    this.#added = 0;
  }

  leave() {
    this.#panel.leave();
  }

  render() {
    this.#list.render();
    this.#panel.render();
    this.#renderHead();
  }

  #renderHead() {
    const missing = this.#panel.missing ? t("people_missing") : t("people_title");
    const name = this.#person ? this.#person.name || this.#person.username : missing;
    this.#heading.textContent = this.#id ? name : t("people_title");
    this.#up.replaceChildren(...(this.#id ? [cell("a", t("people_up"), { href: "/people" })] : []));
    this.#lead.textContent = this.#id ? "" : t("people_lead");
    setTitle(() => this.title);
  }
}
