// Latency over the last minute, drawn on a canvas.

const SPAN_MS = 60_000;
const STEP_MS = 250;

export class Graph {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d');
    this.samples = [];
    this.drawn_ms = 0;
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  /** Adds a sample; null is a gap in the line. */
  add(seconds) {
    const now_ms = performance.now();
    if (now_ms - this.drawn_ms < STEP_MS) return;
    this.drawn_ms = now_ms;
    this.samples.push({ at_ms: now_ms, seconds });
    while (this.samples[0].at_ms < now_ms - SPAN_MS - STEP_MS) this.samples.shift();
    this.draw();
  }

  draw() {
    const { canvas, context } = this;
    const scale = globalThis.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width) return;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    context.setTransform(scale, 0, 0, scale, 0, 0);
    const values = this.samples.map(({ seconds }) => seconds).filter((value) => value !== null);
    const step = [0.5, 1, 2, 5, 10, 20, 60].find((size) => size * 4 >= Math.max(1.2, ...values)) ?? 300;
    const top = step * 4;
    const box = { left: 34, right: width - 2, top: 6, bottom: height - 8 };
    const y = (value) => box.bottom - (Math.min(Math.max(value, 0), top) / top) * (box.bottom - box.top);
    this.rules(box, step, y);
    this.line(box, y);
  }

  rules(box, step, y) {
    const { context } = this;
    context.font = '11px system-ui, sans-serif';
    context.textAlign = 'right';
    context.textBaseline = 'middle';
    for (let i = 0; i <= 4; i += 1) {
      const at = Math.round(y(step * i)) + 0.5;
      context.strokeStyle = i ? '#1d2b39' : '#33475a';
      context.beginPath();
      context.moveTo(box.left, at);
      context.lineTo(box.right, at);
      context.stroke();
      context.fillStyle = '#9fb3c3';
      context.fillText(`${+(step * i).toFixed(1)} s`, box.left - 6, at);
    }
  }

  line(box, y) {
    const { context } = this;
    const now_ms = performance.now();
    const x = (at_ms) => box.right - ((now_ms - at_ms) / SPAN_MS) * (box.right - box.left);
    context.strokeStyle = '#6fe3d2';
    context.lineWidth = 2;
    context.lineJoin = 'round';
    context.beginPath();
    let drawing = false;
    for (const { at_ms, seconds } of this.samples) {
      if (seconds !== null && x(at_ms) >= box.left) {
        if (drawing) context.lineTo(x(at_ms), y(seconds));
        else context.moveTo(x(at_ms), y(seconds));
      }
      drawing = seconds !== null && x(at_ms) >= box.left;
    }
    context.stroke();
    context.lineWidth = 1;
  }
}
