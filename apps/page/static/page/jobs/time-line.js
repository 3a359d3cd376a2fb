// The time line of a job: what the API says of it, and what this tab has seen happen.

import { element } from "../dom.js";
import { isTerminal } from "../../realtime/client.js";
import { t, when, wordFor } from "../strings.js";

/** @typedef {import("./register.js").Work} Work
 *  @typedef {{at: number, what: string, text: string}} Point */

/** What has happened to a job, oldest first. @param {Work} work @returns {Point[]} */
export function pointsOf({ record, detail, events, began }) {
  /** @type {Point[]} */
  const points = [{ at: began, what: "queued", text: detail?.by ? t("line_queued_by", { name: detail.by }) : t("line_queued") }];
  if (detail?.sent) points.push({ at: detail.sent, what: "sent", text: t("line_sent") });
  const ended = isTerminal(record);
  for (const { at, what, word } of events) {
    if (what === "ended") continue;
    const text = what === "step" ? wordFor("step", word) : t(`line_${what}`, { n: Number(word) });
    points.push({ at, what, text });
  }
  if (ended) points.push({ at: detail?.ended ?? record.published_at ?? began, what: "ended", text: t(record.status) });
  return points.map((point, index) => ({ point, index })).sort((a, b) => a.point.at - b.point.at || a.index - b.index)
    .map(({ point }) => point);
}

/** @param {Work} work */
export function timeLine(work) {
  return pointsOf(work).map(({ at, what, text }) => {
    const time = element("time", { datetime: new Date(at * 1000).toISOString() });
    const words = element("span");
    time.textContent = when(at, true);
    words.textContent = text;
    return element("li", { "data-what": what }, time, words);
  });
}
