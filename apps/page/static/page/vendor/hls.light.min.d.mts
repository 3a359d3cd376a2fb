/** The types of what the page uses of hls.js. */
export default class Hls {
  constructor(options: { enableWorker: boolean });
  loadSource(address: string): void;
  attachMedia(video: HTMLVideoElement): void;
  destroy(): void;
}
