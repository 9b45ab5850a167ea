// The server's wall clock, so that latency doesn't depend on the viewer's.

const SAMPLES = 4;
const AGAIN_MS = 60_000;

export class ServerClock {
  constructor(url) {
    this.url = url;
    // Until the server is heard, the local clock is as good as any.
    this.offset_ms = Date.now() - performance.now();
    this.run();
  }

  /** Wall clock of the server at a moment of `performance.now()`. */
  now_ms(at_ms = performance.now()) {
    return this.offset_ms + at_ms;
  }

  async run() {
    let best = null;
    for (let i = 0; i < SAMPLES; i += 1) {
      const sample = await this.sample().catch(() => null);
      if (sample && (!best || sample.took_ms < best.took_ms)) best = sample;
    }
    if (best) this.offset_ms = best.offset_ms;
    setTimeout(() => this.run(), AGAIN_MS);
  }

  async sample() {
    const asked_ms = performance.now();
    const response = await fetch(this.url, { cache: 'no-store' });
    const answered_ms = performance.now();
    let wall_ms = Date.parse((await response.text()).trim());
    // The Date header cuts the second off; on average half of it.
    if (!response.ok || Number.isNaN(wall_ms)) wall_ms = Date.parse(response.headers.get('date')) + 500;
    if (Number.isNaN(wall_ms)) return null;
    return { took_ms: answered_ms - asked_ms, offset_ms: wall_ms - (asked_ms + answered_ms) / 2 };
  }
}
