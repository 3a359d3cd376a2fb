// The browser client of the push server: `connect()` keeps one connection for all tabs and the newest record of each topic.
// Importing this module does nothing, so it can be imported on a server too.

import { browser } from "./environment.js";
import { Feed } from "./feed.js";

export { Feed, FeedError } from "./feed.js";
export { isTerminal } from "./fold.js";

/**
 * @typedef {import("./fold.js").Record} Record
 * @typedef {import("./fold.js").Progress} Progress
 * @typedef {import("./links.js").Granted} Granted
 * @typedef {import("./connection.js").State} State
 * @typedef {import("./connection.js").Status} Status
 * @typedef {import("./feed.js").Options} Options
 */

/** Connects to the push server, and keeps the connection until `close()`. @param {Options} options */
export function connect(options) {
  return new Feed(options, browser());
}
