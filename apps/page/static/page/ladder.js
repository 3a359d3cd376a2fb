// The ways to reach the server, from the best one down, and which of them is tried next.

import { openEvents, openPolls, openSocket } from "./links.js";

const RUNGS = [openSocket, openEvents, openPolls];
const SOCKET = 0;
const POLLS = 2;
const MAX_FRUITLESS = [2, 1, 1]; // links of a rung that ended without one frame, before the next rung is tried
const CLIMB_MS = [60_000, 600_000]; // from a lower rung the best link is tried again after this time, at first and at most

export class Ladder {
  #rung = SOCKET;
  #fruitless = 0;
  #climbMs = CLIMB_MS[0];

  get onTop() {
    return this.#rung === SOCKET;
  }

  get polls() {
    return this.#rung === POLLS;
  }

  /** Opens a link of the present rung. @param {import("./links.js").Task} task */
  open(task) {
    return RUNGS[this.#rung](task);
  }

  /** Opens the best link. @param {import("./links.js").Task} task */
  openBest(task) {
    return RUNGS[SOCKET](task);
  }

  /** A frame arrived: the present rung works. */
  noteFrame() {
    this.#fruitless = 0;
  }

  /** A link of the present rung ended without one frame. */
  noteFruitless() {
    if (++this.#fruitless < MAX_FRUITLESS[this.#rung]) return;
    // Below the last rung, the best one is tried again: if nothing gets through, it is not a proxy that is in the way.
    this.#rung = (this.#rung + 1) % RUNGS.length;
    this.#fruitless = 0;
  }

  /** How many milliseconds to wait before the best link is tried again: longer each time. */
  nextClimbMs() {
    const ms = this.#climbMs;
    this.#climbMs = Math.min(2 * ms, CLIMB_MS[1]);
    return ms;
  }

  /** The best link works again. */
  climb() {
    this.#rung = SOCKET;
    this.#climbMs = CLIMB_MS[0];
  }
}
