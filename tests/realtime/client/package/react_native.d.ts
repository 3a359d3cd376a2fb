// What the client uses of React Native, whose own package is not installed here: it is large, and is needed for nothing else.
declare module "react-native" {
  export const AppState: {
    addEventListener(event: "change", listener: (state: string) => void): { remove: () => void };
  };
}
