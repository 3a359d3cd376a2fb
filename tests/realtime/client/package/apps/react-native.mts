// Stands in for React Native: a test changes the state of the application.
type Listener = (state: string) => void;

const listeners = new Set<Listener>();

export const AppState = {
  addEventListener(_event: "change", listener: Listener) {
    listeners.add(listener);
    return { remove: () => listeners.delete(listener) };
  },
};

Object.assign(globalThis, {
  listeners,
  change: (state: string) => listeners.forEach((listener) => listener(state)),
});
