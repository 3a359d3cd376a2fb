// Timers with names, at most one of each name.

export class Timers {
  /** @type {{[name: string]: ReturnType<typeof setTimeout>}} */
  #ids = {};

  /** Calls `act` once after `ms`, instead of what this timer was set to before.
   *  @param {string} name @param {() => void} act @param {number} ms */
  set(name, act, ms) {
    clearTimeout(this.#ids[name]);
    this.#ids[name] = setTimeout(() => {
      delete this.#ids[name];
      act();
    }, ms);
  }

  /** Stops all timers. */
  stop() {
    for (const name in this.#ids) clearTimeout(this.#ids[name]);
    this.#ids = {};
  }

  /** Whether this timer is set. @param {string} name */
  has(name) {
    return name in this.#ids;
  }
}
