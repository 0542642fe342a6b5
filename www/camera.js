// The camera as the call's video.

export class Camera {
  #preview;

  /** Asks for the camera and shows it in `preview`. Rejects as `getUserMedia` does. */
  static async open(preview) {
    const camera = new Camera();
    camera.stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 360 } });
    camera.#preview = preview;
    preview.srcObject = camera.stream;
    preview.hidden = false;
    return camera;
  }

  stop() {
    for (const track of this.stream.getTracks()) track.stop();
    this.#preview.srcObject = null;
    this.#preview.hidden = true;
  }
}
