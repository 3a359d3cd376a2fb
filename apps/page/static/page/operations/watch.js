// Watches the figures on a connection of its own. Its ticket names the topic of the figures, which other tickets lack.

import { connect } from "../../realtime/client.js";

export const TOPIC = "stats:now";

/**
 * Connects, and calls `show` with each record of the figures.
 * @param {() => Promise<import("../../realtime/client.js").Granted>} ticket
 * @param {(record: import("../../realtime/client.js").Record) => void} show
 */
export function watchFigures(ticket, show) {
  const feed = connect({ ticket });
  feed.watch(TOPIC, (record) => {
    if (record.status !== "UNKNOWN") show(record); // nothing was measured yet: the first figures follow
  });
  return feed;
}
