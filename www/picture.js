// A moving test picture, so that the call has video without a camera: a clock and a frame number on slow waves.

const FRAME = 40;

export class TestPicture {
  #canvas;
  #timer;
  #frame = 0;

  constructor(canvas) {
    this.#canvas = canvas;
    canvas.hidden = false;
    this.#paint();
    // Not requestAnimationFrame: it stands still while the page is hidden, and the call goes on.
    this.#timer = setInterval(() => this.#paint(), FRAME);
    this.stream = canvas.captureStream(1000 / FRAME);
  }

  #paint() {
    const { width, height } = this.#canvas;
    const context = this.#canvas.getContext("2d");
    const frame = this.#frame++;
    const background = context.createLinearGradient(0, 0, width, height);
    background.addColorStop(0, "#0d3b45");
    background.addColorStop(1, "#123a5e");
    context.fillStyle = background;
    context.fillRect(0, 0, width, height);

    for (let wave = 0; wave < 4; wave++) {
      context.beginPath();
      for (let x = 0; x <= width; x += 8) {
        const y = height * (0.62 + wave * 0.07) + Math.sin(x / (90 + wave * 24) + frame / (28 - wave * 4)) * (22 - wave * 3);
        context.lineTo(x, y);
      }
      context.lineTo(width, height);
      context.lineTo(0, height);
      context.fillStyle = `hsl(${176 + wave * 10} 55% 60% / 22%)`;
      context.fill();
    }

    context.fillStyle = "#eafaf7";
    context.textAlign = "center";
    context.font = `600 ${height / 6}px system-ui, sans-serif`;
    context.fillText(new Date().toLocaleTimeString("en-GB"), width / 2, height * 0.4);
    context.font = `${height / 16}px system-ui, sans-serif`;
    context.fillText(`frame ${frame}`, width / 2, height * 0.52);
  }

  stop() {
    clearInterval(this.#timer);
    this.#canvas.hidden = true;
    for (const track of this.stream.getTracks()) track.stop();
  }
}
