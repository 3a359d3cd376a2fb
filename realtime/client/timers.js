// Timers with names, at most one of each name.

export class Timers {
  /** @type {{[name: string]: ReturnType<typeof setTimeout>}} */
  #ids = {};

  /** Calls `act` once after `ms`, instead of what this timer was set to before.
   *  @param {string} name @param {() => void} act @param {number} ms */
  set(name, act, ms) {
    this.stop(name);
    this.#ids[name] = setTimeout(() => {
      delete this.#ids[name];
      act();
    }, ms);
  }

  /** @param {string[]} names the timers to stop; without names all of them */
  stop(...names) {
    for (const name of names.length > 0 ? names : Object.keys(this.#ids)) {
      clearTimeout(this.#ids[name]);
      delete this.#ids[name];
    }
  }

  /** Whether this timer is set. @param {string} name */
  has(name) {
    return name in this.#ids;
  }
}
