// A small chart of the last minutes: lines in an SVG, and a sentence for screen readers.

import { cell, element } from "../dom.js";
import { t } from "../strings.js";

const WIDTH = 100;
const HEIGHT = 32;
const SVG = "http://www.w3.org/2000/svg";
const CALM_DRAWS = 10; // where motion is to be reduced, only each tenth record is drawn

/** @param {string} tag @param {{[name: string]: string}} attributes */
function shape(tag, attributes) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

/** The points of a line, or "" where there are fewer than two values. Unknown values are left out.
 *  @param {(number | null)[]} values @param {number} most @param {number} least */
export function points(values, most, least = 0) {
  const step = WIDTH / Math.max(1, values.length - 1);
  const height = most - least || 1;
  const known = values.flatMap((value, index) => (value === null ? [] : [[index * step, HEIGHT - 1 - ((value - least) / height) * (HEIGHT - 2)]]));
  return known.length < 2 ? "" : known.map((point) => point.map((part) => part.toFixed(1)).join(",")).join(" ");
}

export class Chart {
  node = element("figure", { class: "chart" });
  #svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  #area = shape("polygon", { class: "area" });
  #line = shape("polyline", { class: "line" });
  #other = shape("polyline", { class: "line other" });
  #drawn = 0;

  constructor() {
    this.#svg.append(this.#area, this.#other, this.#line);
    this.node.append(this.#svg);
  }

  /**
   * Draws the values, the oldest first. `other` is a second line on the same scale. With `fromZero: false` the scale
   * begins at the lowest value, so that small changes of large values are visible.
   * @param {{name: string, values: (number | null)[], other?: (number | null)[], span: string, show(value: number): string,
   *   fromZero?: boolean}} shown
   */
  draw({ name, values, other = [], span, show, fromZero = true }) {
    const known = values.filter((value) => value !== null);
    const all = [...known, ...other.filter((value) => value !== null)];
    const most = Math.max(...all, fromZero ? 1e-9 : -Infinity);
    const least = fromZero ? 0 : Math.min(...all);
    const label = known.length
      ? t("operations_chart", { name, span, now: show(known[known.length - 1]), least: show(Math.min(...known)), most: show(Math.max(...known)) })
      : t("operations_chart_empty", { name });
    this.#svg.setAttribute("aria-label", label);
    if (this.#drawn++ % CALM_DRAWS && matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const line = points(values, most, least);
    this.#line.setAttribute("points", line);
    this.#other.setAttribute("points", points(other, most, least));
    const ends = line.split(" ").map((point) => point.split(",")[0]);
    this.#area.setAttribute("points", line && `${ends[0]},${HEIGHT} ${line} ${ends[ends.length - 1]},${HEIGHT}`);
  }
}

/** A figure with its name, a note, and possibly a chart. */
export class Tile {
  node;
  chart;
  #name = element("dt");
  #value = element("dd", { class: "value" });
  #more = element("dd", { class: "meta" });

  /** @param {boolean} withChart */
  constructor(withChart) {
    this.chart = withChart ? new Chart() : null;
    this.node = element("div", { class: "tile" }, this.#name, this.#value, this.#more);
    if (this.chart) this.node.append(element("dd", {}, this.chart.node));
  }

  /** @param {string} name @param {string} value @param {string} more @param {"" | "bad" | "warn"} [tone] */
  write(name, value, more, tone = "") {
    this.#name.textContent = name;
    this.#value.textContent = value;
    this.#more.textContent = more;
    this.node.dataset.tone = tone;
  }
}

/**
 * A table that is written again with each record.
 * @param {string} label @param {string[]} heads @param {{cells: string[], tone?: string}[]} rows
 */
export function table(label, heads, rows) {
  const head = element("tr", { role: "row" }, ...heads.map((text) => cell("th", text, { role: "columnheader", scope: "col" })));
  const lines = rows.map(({ cells, tone = "" }) => element("tr", { role: "row", "data-tone": tone }, ...cells.map((text, index) => (
    index === 0 ? cell("th", text, { role: "rowheader", scope: "row" }) : cell("td", text, { role: "cell", "data-label": heads[index] })
  ))));
  return element("table", { role: "table", "aria-label": label },
    element("thead", { role: "rowgroup" }, head), element("tbody", { role: "rowgroup" }, ...lines));
}
