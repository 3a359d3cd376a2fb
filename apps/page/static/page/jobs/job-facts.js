// The facts about a job: who started it, when, and how long it took.

import { isTerminal } from "../../realtime/client.js";
import { duration, number, t, when } from "../strings.js";

/** @param {import("./register.js").Work} work @returns {[string, string][]} each with its name */
export function factsOfJob({ record, detail, began }) {
  const ended = isTerminal(record) ? detail?.ended ?? record.published_at ?? null : null;
  /** @type {[string, string][]} */
  const facts = [];
  if (detail?.by) facts.push([t("fact_by"), detail.by]);
  facts.push([t("fact_began"), when(began)]);
  if (ended) facts.push([t("fact_ended"), when(ended)], [t("fact_took"), duration(Math.max(0, ended - began))]);
  const attempts = attemptsOf(record);
  if (attempts > 1) facts.push([t("fact_attempts"), number(attempts)]);
  return facts;
}

/** How often a job was tried. The path of a READY video says so: each change of the title has raised the number of the attempt.
 *  @param {import("../../realtime/client.js").Record} record */
function attemptsOf({ attempt, data }) {
  const made = /\/(\d+)\/master\.m3u8$/.exec(data?.hls_path ?? "");
  return made ? Number(made[1]) : attempt;
}
