// Timers with names, at most one of each name.

export class Timers {
  /** @type {{[name: string]: number}} */
  #ids = {};

  /** Calls `act` once after this time, instead of what this timer was set to before.
   *  @param {string} name @param {() => void} act @param {number} ms */
  set(name, act, ms) {
    this.stop(name);
    this.#ids[name] = setTimeout(() => {
      delete this.#ids[name];
      act();
    }, ms);
  }

  /** @param {string[]} names */
  stop(...names) {
    for (const name of names) {
      clearTimeout(this.#ids[name]);
      delete this.#ids[name];
    }
  }

  /** Whether this timer is set. @param {string} name */
  has(name) {
    return name in this.#ids;
  }
}
