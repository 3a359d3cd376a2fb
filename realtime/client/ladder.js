// The ways to reach the server, from the best one down, and which of them is tried next.

import { openEvents, openPolls, openSocket } from "./links.js";

const RUNGS = [openSocket, openEvents, openPolls];
const SOCKET = 0;
const POLLS = 2;
const CLIMB_MS = 60_000; // from a lower rung, the best link is tried again after this time, and then after longer times
const MOST_CLIMB_MS = 600_000;
const KEY = "realtime.rung";
const REMEMBERED_MS = 3_600_000;

export class Ladder {
  #rung = SOCKET;
  #fruitless = 0;
  #climbMs = CLIMB_MS;
  #storage;

  /** @param {Storage | null} storage remembers for an hour which rung worked at this origin */
  constructor(storage) {
    this.#storage = storage;
    const [rung, at] = (storage?.getItem(KEY) ?? "").split(" ").map(Number);
    if (rung in RUNGS && Date.now() - at < REMEMBERED_MS) this.#rung = rung;
  }

  get onTop() {
    return this.#rung === SOCKET;
  }

  get polls() {
    return this.#rung === POLLS;
  }

  /** Opens a link of the present rung, or the best one. @param {import("./links.js").Task} task @param {boolean} best */
  open(task, best) {
    return RUNGS[best ? SOCKET : this.#rung](task);
  }

  /** A frame arrived: the present rung works. @param {boolean} first whether it is the first of its link */
  worked(first) {
    this.#fruitless = 0;
    if (first) this.#remember();
  }

  /** A link of the present rung ended without one frame. */
  failed() {
    if (++this.#fruitless < 2 && this.onTop) return; // one failed WebSocket says little
    // After the last rung, the best one is tried again: if nothing works, the fault is not a proxy in between.
    this.#rung = (this.#rung + 1) % RUNGS.length;
    this.#fruitless = 0;
  }

  /** How many milliseconds to wait before the best link is tried again: longer each time. */
  waitMs() {
    const ms = this.#climbMs;
    this.#climbMs = Math.min(2 * ms, MOST_CLIMB_MS);
    return ms;
  }

  /** The best link works again. */
  climb() {
    this.#rung = SOCKET;
    this.#climbMs = CLIMB_MS;
    this.#remember();
  }

  #remember() {
    try {
      if (this.onTop) this.#storage?.removeItem(KEY);
      else this.#storage?.setItem(KEY, `${this.#rung} ${Date.now()}`);
    } catch {
      // the storage is full: the next page finds out by itself
    }
  }
}
