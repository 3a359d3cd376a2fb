// What the client needs to know about the browser around it: whether there is a network, and when the tab sleeps.
// `native.js` has the same for React Native.

/**
 * @typedef {{online: () => boolean, storage: Storage | null,
 *   listen: (listeners: {wake: () => void, sleep: () => void, offline: () => void}) => () => void}} Environment
 *   wake: the network is back, or somebody looks at the tab again. sleep: the browser is about to freeze the tab.
 *   `listen` returns a function that ends the listening.
 */

/** The storage of this origin, or null where the browser forbids it. */
function storageOf() {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null;
  }
}

/** @returns {Environment} */
export function browser() {
  return {
    online: () => navigator.onLine,
    storage: storageOf(),
    listen: ({ wake, sleep, offline }) => {
      const controller = new AbortController();
      const { signal } = controller;
      addEventListener("online", wake, { signal });
      addEventListener("offline", offline, { signal });
      addEventListener("pageshow", wake, { signal });
      addEventListener("pagehide", sleep, { signal });
      document.addEventListener("visibilitychange", () => document.hidden || wake(), { signal });
      document.addEventListener("freeze", sleep, { signal });
      document.addEventListener("resume", wake, { signal });
      return () => controller.abort();
    },
  };
}
