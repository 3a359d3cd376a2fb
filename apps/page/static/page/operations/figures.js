// Shows the record with the figures: tiles with charts, and tables. Those of an academy have fewer than those of the system.

import { cell, element } from "../dom.js";
import { currentLanguage, duration, known, number, t, when } from "../strings.js";
import { Tile, table } from "./chart.js";

const SECONDS_A_POINT = 2;
const LATE_MS = 10_000;
const FULL_SOON_SECONDS = 7 * 86_400;
const TILES = ["connections", "records", "jobs", "latency", "sql", "memory", "outbox"];

/** @typedef {import("../../realtime/client.js").Record} Record */

/** @param {number} value @param {string} unit @param {number} digits */
const inUnit = (value, unit, digits) => (
  new Intl.NumberFormat(currentLanguage(), { style: "unit", unit, maximumFractionDigits: digits }).format(value)
);
/** @param {number} value */
const bytes = (value) => (value >= 1e9 ? inUnit(value / 1e9, "gigabyte", 2) : inUnit(value / 1e6, "megabyte", 1));
/** @param {number} seconds */
const brief = (seconds) => (seconds < 1 ? inUnit(seconds * 1000, "millisecond", 0) : inUnit(seconds, "second", 1));
/** @param {number | null | undefined} value */
const shown = (value) => (value === null || value === undefined ? t("operations_unknown") : number(value));
/** Formats a time in minutes, hours or days, without seconds. @param {number} seconds */
function roughly(seconds) {
  if (seconds >= 2 * 86_400) return inUnit(Math.round(seconds / 86_400), "day", 0);
  return duration(Math.max(60, Math.round(seconds / 60) * 60));
}
/** @param {string} queue */
const queueName = (queue) => (known(`operations_queue_${queue}`) ? t(`operations_queue_${queue}`) : queue);
/** @param {{id: number, code?: string, name?: string}} academy */
const academyOf = ({ id, code, name }) => (code ? [name, code].filter(Boolean).join(" · ") : t("operations_academy_unknown", { id: `${id}` }));
/** @param {{websocket: number, sse: number, poll: number}} connections */
const sum = ({ websocket, sse, poll }) => websocket + sse + poll;

export class Figures {
  #status = element("p", { class: "meta" });
  #alarm = element("p", { class: "visually-hidden", role: "status" });
  #grid = element("dl", { class: "tiles" });
  #tables = element("div", { class: "paged" });
  /** @type {{[name: string]: Tile}} */
  #tiles = {};
  /** @type {Record | null} */
  #record = null;
  #late = 0;
  #isLate = false;
  #stalled = 0;

  /** @param {HTMLElement} parent */
  constructor(parent) {
    parent.append(this.#status, this.#alarm, this.#grid, this.#tables);
    this.render();
  }

  /** @param {Record} record */
  show(record) {
    this.#record = record;
    this.#isLate = false;
    clearTimeout(this.#late);
    this.#late = setTimeout(() => {
      this.#isLate = true;
      this.render();
    }, LATE_MS);
    this.render();
  }

  close() {
    clearTimeout(this.#late);
  }

  /** Writes everything again, in the chosen language. */
  render() {
    const { data, stalled, published_at: at } = this.#record ?? { data: null, stalled: false, published_at: 0 };
    const time = when(at ?? 0, true);
    const old = stalled || this.#isLate;
    this.#status.textContent = !data ? t("operations_waiting") : t(old ? "operations_old" : "operations_measured", { when: time });
    if (!data?.connections) return;
    this.#tables.replaceChildren();
    this.#render(data);
    this.#announce(data.stalled ?? 0);
  }

  /** @param {any} data */
  #render(data) {
    const { history } = data;
    const span = duration(Math.max(1, history.records.length - 1) * SECONDS_A_POINT);
    const of_all = "tenants" in data;
    this.#tile("connections", number(sum(data.connections)), t(of_all ? "operations_by_transport_all" : "operations_by_transport", { ...data.connections, feeds: data.feeds }),
      { values: history.connections, span, show: number });
    this.#tile("records", number(data.records), of_all ? t("operations_delivered", { delivered: shown(data.delivered), conflated: shown(data.conflated) }) : t("operations_records_lead"),
      { values: history.records, span, show: number });
    if (data.queues) this.#renderJobs(data);
    if (of_all) this.#renderSystem(data, span);
    else if (data.queues) this.#queuesOfAcademy(data.queues);
  }

  /** @param {any} data */
  #renderJobs({ queues, waiting, running, stalled, oldest_waiting: oldest }) {
    const all = Array.isArray(queues) ? queues : [{ waiting, running, oldest_waiting: oldest }];
    const added = (/** @type {string} */ name) => all.reduce((total, each) => total + each[name], 0);
    const waited = Math.max(...all.map((each) => each.oldest_waiting ?? 0));
    const lead = t("operations_jobs_lead", { waiting: added("waiting"), stalled });
    const more = added("waiting") ? `${lead} · ${t("operations_oldest", { time: duration(waited) })}` : lead;
    this.#tile("jobs", t("operations_jobs_value", { running: added("running") }), more, null, stalled ? "bad" : "");
  }

  /** @param {any} data @param {string} span */
  #renderSystem(data, span) {
    const { latency, history, redis, outbox } = data;
    this.#tile("latency", latency ? t("operations_latency_value", { median: brief(latency.median) }) : t("operations_unknown"),
      latency ? t("operations_latency_lead", { most: brief(latency.most) }) : t("operations_latency_none"),
      { values: history.latency, span, show: brief });
    this.#tile("sql", shown(data.sql), t("operations_sql_lead", { polling: shown(data.polling_sql) }),
      { values: history.sql, other: history.polling_sql, span, show: number });
    if (redis) this.#memory(redis);
    if (outbox) {
      const tone = outbox.set_aside ? "bad" : outbox.age > 30 ? "warn" : "";
      this.#tile("outbox", t("operations_outbox_value", { seconds: outbox.age }), t("operations_outbox_lead", { aside: outbox.set_aside }), null, tone);
    }
    if (data.stalled_jobs?.length) this.#stalledJobs(data.stalled_jobs);
    if (data.queues) this.#queuesOfSystem(data.queues, data.processes);
    this.#academies(data);
    this.#processes(data.processes);
  }

  /** @param {any} redis */
  #memory({ used, limit, memory, forecast }) {
    const left = forecast?.full_in_seconds ?? null;
    const more = !limit ? t("operations_memory_no_limit") : !forecast ? t("operations_memory_early")
      : left === null ? t("operations_memory_steady") : t("operations_memory_full", { time: roughly(left) });
    const value = limit ? t("operations_memory_value", { used: bytes(used), limit: bytes(limit) }) : bytes(used);
    const tone = limit && (used > 0.9 * limit || (left !== null && left < 86_400)) ? "bad"
      : limit && (used > 0.7 * limit || (left !== null && left < FULL_SOON_SECONDS)) ? "warn" : "";
    const span = duration(Math.max(1, memory.length - 1) * 60);
    this.#tile("memory", value, more, { values: [...memory, used], span, show: bytes, fromZero: false }, tone);
  }

  /** @param {{tenant: string, topic: string}[]} jobs */
  #stalledJobs(jobs) {
    this.#section("operations_stalled_jobs", table(t("operations_stalled_jobs"), [t("operations_academy"), t("kind_job")],
      jobs.map(({ tenant, topic }) => ({ cells: [tenant, topic], tone: "bad" }))));
  }

  /** @param {{[queue: string]: {waiting: number, running: number}}} queues */
  #queuesOfAcademy(queues) {
    const heads = [t("operations_queue"), t("operations_waiting_jobs"), t("operations_running_jobs")];
    this.#section("operations_queues", table(t("operations_queues"), heads, Object.entries(queues).map(([queue, load]) => (
      { cells: [queueName(queue), number(load.waiting), number(load.running)] }
    ))));
  }

  /** @param {any[]} queues @param {any[]} processes */
  #queuesOfSystem(queues, processes) {
    const heads = ["queue", "waiting_jobs", "running_jobs", "stalled", "oldest_waiting", "depth", "dead", "slots", "workers"];
    const rows = queues.map((each) => {
      const workers = processes.filter(({ queue }) => queue === each.queue);
      // Only slots with a job: an idle worker takes a slot, too, while it asks the queue for a message.
      const working = workers.reduce((sum, { busy }) => sum + busy, 0);
      const oldest = each.oldest_waiting === null ? t("operations_unknown") : duration(each.oldest_waiting);
      return {
        cells: [
          queueName(each.queue), number(each.waiting), number(each.running), number(each.stalled), oldest, shown(each.depth),
          shown(each.dead_letters), `${number(working)} / ${number(each.slots)}`, number(workers.length),
        ],
        tone: each.stalled || (each.waiting && !workers.length) ? "bad" : each.dead_letters ? "warn" : "",
      };
    });
    this.#section("operations_queues", table(t("operations_queues"), heads.map((name) => t(`operations_${name}`)), rows));
  }

  /** @param {any} data */
  #academies({ tenants, tenants_in_all: all }) {
    const heads = ["academy", "academy_connections", "records", "waiting_jobs", "running_jobs", "stalled"];
    const rows = tenants.map((/** @type {any} */ each) => {
      const { websocket, sse, poll } = each.connections;
      return {
        cells: [academyOf(each), `${number(sum(each.connections))} (${websocket} · ${sse} · ${poll})`, number(each.records), number(each.waiting ?? 0), number(each.running ?? 0), number(each.stalled ?? 0)],
        tone: each.stalled ? "bad" : "",
      };
    });
    const lead = cell("p", t("operations_academies_lead", { shown: tenants.length, all }), { class: "meta" });
    this.#section("operations_academies", lead, table(t("operations_academies"), heads.map((name) => t(`operations_${name}`)), rows));
  }

  /** @param {any[]} processes */
  #processes(processes) {
    const heads = ["process", "kind", "load"].map((name) => t(`operations_${name}`));
    this.#section("operations_processes", table(t("operations_processes"), heads, processes.map(({ host, pid, kind, queue, connections, busy, slots }) => ({
      cells: [
        `${host} · ${pid}`,
        kind === "web" ? t("operations_web") : t("operations_worker", { queue: queueName(queue) }),
        kind === "web" ? t("operations_load_web", { n: connections ?? 0 }) : t("operations_load_worker", { busy, slots }),
      ],
    }))));
  }

  /** @param {string} key @param {Node[]} content */
  #section(key, ...content) {
    this.#tables.append(cell("h2", t(key)), ...content);
  }

  /** @param {string} name @param {string} value @param {string} more
   *  @param {Omit<Parameters<import("./chart.js").Chart["draw"]>[0], "name"> | null} chart @param {"" | "bad" | "warn"} [tone] */
  #tile(name, value, more, chart, tone) {
    if (!this.#tiles[name]) {
      this.#tiles[name] = new Tile(chart !== null);
      this.#grid.replaceChildren(...TILES.filter((each) => this.#tiles[each]).map((each) => this.#tiles[each].node));
    }
    const title = t(`operations_${name}`);
    this.#tiles[name].write(title, value, more, tone);
    if (chart) this.#tiles[name].chart?.draw({ name: title, ...chart });
  }

  /** Announces to screen readers that jobs have stalled or go on, but no other figures. @param {number} stalled */
  #announce(stalled) {
    if (stalled === this.#stalled) return;
    this.#stalled = stalled;
    this.#alarm.textContent = stalled ? t("operations_stalled_now", { n: stalled }) : t("operations_stalled_none");
  }
}
