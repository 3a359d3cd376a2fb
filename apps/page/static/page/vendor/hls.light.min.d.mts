/** The types of what the page uses of hls.js. */
export default class Hls {
  constructor(options: { enableWorker: boolean });
  loadSource(address: string): void;
  on(event: "hlsError", listener: (event: string, problem: { fatal: boolean }) => void): void;
  attachMedia(video: HTMLVideoElement): void;
  destroy(): void;
}
