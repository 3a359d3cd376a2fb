// Describes an account in words.

import { cell } from "../dom.js";
import { t, when, wordFor } from "../strings.js";

/** @typedef {{id: number, username: string, name: string, role: string, active: boolean, has_password: boolean,
 *   code_expires_at: string | null, last_used_at: string | null, created_at: string}} Person */

export const PATH = "/api/v1/people/";
export const ROLES = ["owner", "staff", "teacher", "parent", "student"];

/** The roles that somebody may give to others, each with its name. Students get their role when they are added.
 *  @param {string} own @returns {[string, string][]} */
export function rolesFor(own) {
  const given = own === "owner" ? ["teacher", "parent", "staff", "owner"] : ["teacher", "parent"];
  return given.map((role) => [role, wordFor("role", role)]);
}

/** @param {string} time */
export function dateOf(time) {
  return when(Date.parse(time) / 1000);
}

/** A chip that says whether the account is closed, waits for its first sign-in, or is in use. @param {Person} person */
export function stateOf(person) {
  const waiting = person.code_expires_at ? "people_code_valid" : person.has_password ? "people_active" : "people_no_password";
  const key = person.active ? waiting : "people_inactive";
  return cell("span", t(key), { class: "chip", "data-state": key });
}
