// The client for React Native: like client.js, with the surroundings of an application instead of a browser's.
// Nothing is shared here, because an application has no other tabs.

import { AppState } from "react-native";
import { Feed } from "./feed.js";

export { Feed, FeedError } from "./feed.js";
export { isTerminal } from "./fold.js";

/** @returns {import("./environment.js").Environment} */
function native() {
  return {
    // React Native does not know by itself whether there is a network: each attempt shows it.
    online: () => true,
    storage: null,
    listen: ({ wake, sleep }) => {
      const subscription = AppState.addEventListener("change", (state) => {
        if (state === "active") wake();
        else if (state === "background") sleep(); // "inactive" is a moment, such as a call or the list of applications
      });
      return () => subscription.remove();
    },
  };
}

/** Connects to the push server, and keeps the connection until `close()`, except while the application is in the
 *  background. @param {import("./feed.js").Options} options */
export function connect(options) {
  return new Feed(options, native());
}
