// The size of a text as Korean carriers count it, and the kind of message that they make of it.

import { t } from "../strings.js";

const SMS_BYTES = 90;
const LMS_BYTES = 2000;
export const MAX_LETTERS = 2000;
export const NAME = "{name}";

/** An ASCII letter has one byte, any other letter two. @param {string} text */
export function sizeOf(text) {
  const letters = [...text];
  const bytes = letters.reduce((sum, letter) => sum + (letter < "\x80" ? 1 : 2), 0);
  const kind = bytes <= SMS_BYTES ? "sms" : bytes <= LMS_BYTES ? "lms" : "too_long";
  return { letters: letters.length, bytes, kind };
}

/** @param {{letters: number, bytes: number, kind: string}} size */
export function sizeInWords({ letters, bytes, kind }) {
  return t("messages_size", { letters, bytes, kind: t(`messages_${kind}`) });
}

/** A phone number with hyphens. @param {string} number */
export function phone(number) {
  return number.replace(/^(01\d)(\d{3,4})(\d{4})$/, "$1-$2-$3");
}
