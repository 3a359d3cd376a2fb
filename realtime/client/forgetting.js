// For what keeps records of a feed itself: a feed forgets its records when another user has signed in, and nobody is told.

/** @typedef {import("./feed.js").Feed} Feed */

/**
 * Calls `drop` with each of these topics that the feed has forgotten. Returns a function that ends this.
 * @param {Feed} feed @param {() => Iterable<string>} topics @param {(topic: string) => void} drop
 */
export function onForgetting(feed, topics, drop) {
  let pending = false;
  const check = () => {
    pending = false;
    const { records } = feed;
    for (const topic of [...topics()]) if (!records.has(topic)) drop(topic);
  };
  const checkSoon = () => {
    if (!pending) queueMicrotask(check); // a listener of frames is called before the feed has taken their records
    pending = true;
  };
  const ends = [feed.on("state", checkSoon), feed.on("frame", ({ type }) => type === "snapshot" && checkSoon())];
  return () => ends.forEach((end) => end());
}
