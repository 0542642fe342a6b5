// The received video of a call in numbers: frames and bytes so far, and how many came in each second.

import { receivedVideo } from "./pair.js";

export class Film {
  frames = 0;
  /** Frames decoded in the last second, and bits received in it. */
  frameRate = 0;
  bitrate = 0;
  size = null;

  #frames = 0;
  #bytes = 0;
  #at = 0;

  /** Asks `pc` for its statistics; what a connection before it has received is kept. */
  async look(pc) {
    const video = await receivedVideo(pc).catch(() => null);
    const now = performance.now();
    const frames = video?.framesDecoded ?? 0;
    const bytes = video?.bytesReceived ?? 0;
    const seconds = (now - this.#at) / 1000;
    if (this.#at > 0) {
      // Fewer than before: another connection's.
      const more = frames >= this.#frames ? frames - this.#frames : frames;
      this.frames += more;
      this.frameRate = Math.round(more / seconds);
      this.bitrate = ((bytes >= this.#bytes ? bytes - this.#bytes : bytes) * 8) / seconds;
    } else {
      this.frames = frames;
    }
    this.#frames = frames;
    this.#bytes = bytes;
    this.#at = now;
    if (video?.frameWidth) this.size = { width: video.frameWidth, height: video.frameHeight };
  }
}
