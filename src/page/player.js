// A small player of low-latency HLS on Media Source Extensions.
//
// Every part is placed by its program date-time, so presentation time and wall
// clock differ by a constant (per discontinuity), and "which moment is on the
// screen" is a subtraction. `Player` joins and joins again; a `Session` is one
// join; a `Track` feeds one source buffer.

import { sleep } from './http.js';
import { Session } from './session.js';

const REJOIN_MS = { first: 400, most: 4_000 };

/** Keeps a channel playing in a video element, through all that goes wrong. */
export class Player extends EventTarget {
  constructor(video, clock) {
    super();
    this.video = video;
    this.clock = clock;
    this.state = 'idle';
    this.stalls = 0;
    this.errors = [];
    this.joins = 0;
    this.manual = null;
    this.session = null;
    this.latency = null;
    this.frameLatency();
  }

  static get isSupported() {
    return Boolean(globalThis.ManagedMediaSource ?? globalThis.MediaSource);
  }

  /** Plays the multivariant playlist at `url` until `stop` or the next `load`. */
  async load(url) {
    this.stop();
    let wait_ms = REJOIN_MS.first;
    const life = new AbortController();
    this.life = life;
    this.become('joining');
    while (!life.signal.aborted) {
      const session = new Session(this, url);
      this.session = session;
      this.joins += 1;
      try {
        await session.run();
        this.become('ended');
        return;
      } catch (error) {
        session.close(error);
        if (life.signal.aborted) return;
        this.note(error);
        this.become('joining');
        wait_ms = session.started ? REJOIN_MS.first : Math.min(wait_ms * 1.6, REJOIN_MS.most);
      }
      await sleep(wait_ms, life.signal).catch(() => {});
    }
  }

  stop() {
    this.life?.abort(new DOMException('stopped', 'AbortError'));
    this.session?.close(new DOMException('stopped', 'AbortError'));
    this.session = null;
    this.latency = null;
    this.video.removeAttribute('src');
    this.video.load();
    this.become('idle');
  }

  /** Chooses a rendition by its height; null leaves the choice to throughput. */
  choose(height) {
    this.manual = height;
    const { session } = this;
    if (session?.variant && height !== null) session.go(session.pick(0));
  }

  /** Seeks to where a viewer who has just joined would be. */
  goLive() {
    const { session, video } = this;
    if (!session?.started) return;
    const late_s = session.ahead_s - session.target_s;
    if (late_s > 0.5) video.currentTime += late_s;
    video.play().catch((error) => this.note(error));
  }

  become(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new Event('state'));
  }

  note(error) {
    this.errors.push(String(error?.message ?? error));
    if (this.errors.length > 100) this.errors.shift();
    this.dispatchEvent(new Event('error'));
  }

  /** Latency of the frame on the screen; of the play head where frames aren't told. */
  frameLatency() {
    const { video } = this;
    const take = (time_s, shown_ms) => {
      const { session } = this;
      if (session?.started) this.latency = (this.clock.now_ms(shown_ms) - session.timeline.wallAt_ms(time_s)) / 1000;
    };
    if (video.requestVideoFrameCallback) {
      const frame = (_, { mediaTime, expectedDisplayTime }) => {
        take(mediaTime, expectedDisplayTime);
        video.requestVideoFrameCallback(frame);
      };
      video.requestVideoFrameCallback(frame);
    }
    video.addEventListener('timeupdate', () => {
      if (!video.requestVideoFrameCallback || !video.videoWidth) take(video.currentTime, performance.now());
    });
  }

  get rendition() {
    return this.session?.variant ?? null;
  }

  get renditions() {
    return this.session?.variants ?? [];
  }

  get buffer() {
    const { session } = this;
    if (!session?.started) return 0;
    return Math.max(0, session.ahead_s === Infinity ? 0 : session.ahead_s);
  }
}
