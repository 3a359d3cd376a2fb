// What the browser keeps for the page. Its storage can be full or forbidden. Then this tab keeps the value in memory
// until it is closed or loaded again, so that nothing else fails.

/** @typedef {"localStorage" | "sessionStorage"} Area  By name: where storage is forbidden, even `localStorage` itself throws. */

/** @type {Record<Area, Map<string, string>>} */
const memory = { localStorage: new Map(), sessionStorage: new Map() };

/** @param {Area} area @param {string} key @returns {string | null} */
export function read(area, key) {
  return quietly(() => globalThis[area].getItem(key)) ?? memory[area].get(key) ?? null;
}

/** @param {Area} area @param {string} key @param {string} value */
export function write(area, key, value) {
  memory[area].delete(key);
  const stored = quietly(() => {
    globalThis[area].setItem(key, value);
    return true;
  });
  if (stored) return;
  remove(area, key); // else the old value would be read
  memory[area].set(key, value);
}

/** @param {Area} area @param {string} key */
export function remove(area, key) {
  memory[area].delete(key);
  quietly(() => globalThis[area].removeItem(key));
}

/** Removes everything from an area. @param {Area} area */
export function clear(area) {
  memory[area].clear();
  quietly(() => globalThis[area].clear());
}

/** @template T @param {() => T} work @returns {T | null} null if it throws */
function quietly(work) {
  try {
    return work();
  } catch {
    return null;
  }
}
