// What the page says, in the language that its user has chosen: sentences, numbers and times.

import * as storage from "./storage.js";
import { TEXT } from "./words.js";

const KEY = "academy.language";

/** @typedef {"ko" | "en"} Language */

/** Adds the sentences of a view that is loaded later. @param {{[key: string]: [ko: string, en: string]}} words */
export function addWords(words) {
  Object.assign(TEXT, words);
}

/** @type {Language} */
let language = storage.read("localStorage", KEY) === "en" ? "en" : "ko";

export function currentLanguage() {
  return language;
}

/** @param {Language} next */
export function setLanguage(next) {
  language = next;
  storage.write("localStorage", KEY, next);
}

/** @param {string} key @param {{[name: string]: string | number}} [values] */
export function t(key, values = {}) {
  const text = TEXT[key]?.[language === "ko" ? 0 : 1] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name] ?? "";
    return typeof value === "number" ? number(value) : value;
  });
}

/** The sentence for a state of the connection, and why it is so. @param {string} state @param {string} reason */
export function stateFor(state, reason) {
  return t(Object.hasOwn(TEXT, `${state}_${reason}`) ? `${state}_${reason}` : state);
}

/** The sentence for a code of the server, or the server's own where this page knows none.
 *  @param {"error" | "row"} kind @param {string} code @param {string} [message]
 *  @param {{[name: string]: string | number}} [values] */
export function explain(kind, code, message, values) {
  return Object.hasOwn(TEXT, `${kind}_${code}`) ? t(`${kind}_${code}`, values) : message || t(`${kind}_internal`);
}

/** The name of a step or a role; the server's own word where this page knows none.
 *  @param {"step" | "role"} kind @param {string} word */
export function wordFor(kind, word) {
  return Object.hasOwn(TEXT, `${kind}_${word}`) ? t(`${kind}_${word}`) : word;
}

/** Whether this page has a text of this name. @param {string} key */
export function known(key) {
  return Object.hasOwn(TEXT, key);
}

/** A length of time in words. @param {number} seconds */
export function duration(seconds) {
  const parts = { hour: Math.floor(seconds / 3600), minute: Math.floor((seconds % 3600) / 60), second: Math.round(seconds % 60) };
  const shown = Object.entries(parts).filter(([unit, value]) => value || (unit === "second" && seconds < 60));
  return shown.map(([unit, value]) => new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "long" }).format(value)).join(" ");
}

/** @param {number} value */
export function number(value) {
  return new Intl.NumberFormat(language).format(value);
}

/** A video's length, as players show it. @param {number} seconds */
export function length(seconds) {
  const whole = Math.round(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  const shown = parts[0] ? parts : parts.slice(1);
  return shown.map((part, index) => (index ? `${part}`.padStart(2, "0") : `${part}`)).join(":");
}

/** A time of today as a time, an older one with its day. @param {number} seconds since 1970 @param {boolean} [exact] to the second */
export function when(seconds, exact = false) {
  const date = new Date(seconds * 1000);
  const today = date.toDateString() === new Date().toDateString();
  /** @type {Intl.DateTimeFormatOptions} */
  const day = today ? {} : { month: "short", day: "numeric" };
  return new Intl.DateTimeFormat(language, { ...day, hour: "numeric", minute: "2-digit", ...(exact && { second: "2-digit" }) }).format(date);
}

/** A day with its year, and with the time unless `clock` is false. @param {string} time @param {boolean} [clock] */
export function day(time, clock = true) {
  return new Intl.DateTimeFormat(language, { dateStyle: "medium", ...(clock && { timeStyle: "short" }) }).format(new Date(time));
}
