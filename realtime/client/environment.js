// What the client needs to know about the browser around it: whether there is a network, and when the tab sleeps.
// `native.js` has the same for React Native.

/**
 * @typedef {{online: () => boolean, storage: Storage | null,
 *   listen: (listeners: {wake: () => void, sleep: () => void, offline: () => void}) => () => void}} Environment
 *   wake: the network is back, or somebody looks at the tab again. sleep: the browser is about to freeze the tab.
 *   `listen` returns a function that ends the listening.
 */

/** The storage of this origin, or null where the browser has none or forbids it. */
function storageOf() {
  try {
    return localStorage;
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
      const events = { online: wake, offline, pageshow: wake, pagehide: sleep, freeze: sleep, resume: wake,
        visibilitychange: () => document.hidden || wake() };
      for (const [event, listener] of Object.entries(events)) {
        // Events of the document reach the window in the phase of capture, even if they do not bubble.
        addEventListener(event, listener, { signal: controller.signal, capture: true });
      }
      return () => controller.abort();
    },
  };
}
