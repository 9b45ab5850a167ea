// A small player of low-latency HLS on Media Source Extensions.
//
// Every part is placed by its program date-time, so presentation time and wall
// clock differ by a constant (per discontinuity), and "which moment is on the
// screen" is a subtraction. `Player` joins and joins again; a `Session` is one
// join; a `Track` feeds one source buffer.

import { decodeTime, timescale } from './bmff.js';
import { edge_ms, holdBack_s, parseMedia, parseMultivariant } from './playlist.js';

const TICK_MS = 100;
const REQUEST_MS_MAX = 30_000;
const REJOIN_MS = { first: 400, most: 4_000 };
/** Presentation time of the first segment joined, so that no time is negative. */
const LEAD_IN_S = 10;
const AHEAD_S_MAX = 20;
const BEHIND_S_KEPT = 15;
/** A hole in the wall clock larger than this is closed up, not waited for. */
const HOLE_S_MAX = 30;
/** What comes after a hole is played after this even if there is little of it. */
const HOLE_MS_MAX = 2_000;
const RATE = { slowest: 0.97, fastest: 1.05 };
/** Farther behind the target than this is caught up by a seek. */
const CATCH_UP_BY_SEEK_S = 3;
const FIRST_CHOICE_BPS = 3_000_000;
/** Smaller bodies tell the delay of the path, not its throughput. */
const THROUGHPUT_BYTES_MIN = 8_000;
const SWITCH_UP_MS_MIN = 6_000;

class HttpError extends Error {
  constructor(status, url) {
    super(`${status} for ${new URL(url).pathname}`);
    this.status = status;
  }
}

const sleep = (ms, signal) => new Promise((resolve, reject) => {
  signal.throwIfAborted();
  const cancel = () => { clearTimeout(timer); reject(signal.reason); };
  const timer = setTimeout(() => { signal.removeEventListener('abort', cancel); resolve(); }, ms);
  signal.addEventListener('abort', cancel, { once: true });
});

/** Fetches a body whole; `read` names the method of Response. */
async function get(url, read, signal) {
  const late = new AbortController();
  const cancel = () => late.abort(signal.reason);
  signal.throwIfAborted();
  signal.addEventListener('abort', cancel, { once: true });
  const timer = setTimeout(() => late.abort(new Error(`no answer from ${new URL(url).pathname}`)), REQUEST_MS_MAX);
  try {
    const response = await fetch(url, { signal: late.signal });
    if (!response.ok) throw new HttpError(response.status, url);
    return await response[read]();
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', cancel);
  }
}

/** Maps wall clock to presentation time, one constant shift a discontinuity. */
class Timeline {
  constructor(discontinuity, origin_ms) {
    this.eras = new Map([[discontinuity, { shift_ms: origin_ms, from_s: 0 }]]);
    this.newest = this.eras.get(discontinuity);
    this.end_s = 0;
  }

  place(discontinuity, wall_ms) {
    let era = this.eras.get(discontinuity);
    if (!era) {
      let shift_ms = this.newest.shift_ms;
      const hole_s = (wall_ms - shift_ms) / 1000 - this.end_s;
      if (hole_s < -1 || hole_s > HOLE_S_MAX) shift_ms = wall_ms - this.end_s * 1000;
      era = { shift_ms, from_s: (wall_ms - shift_ms) / 1000 };
      this.eras.set(discontinuity, era);
      this.newest = era;
    }
    return (wall_ms - era.shift_ms) / 1000;
  }

  wallAt_ms(time_s) {
    let found = null;
    for (const era of this.eras.values()) {
      if (!found || (era.from_s <= time_s + 0.01 && era.from_s >= found.from_s)) found = era;
    }
    return found.shift_ms + time_s * 1000;
  }
}

/** One source buffer and the media playlist that feeds it. */
class Track {
  constructor(session, kind, url, mime) {
    this.session = session;
    this.kind = kind;
    this.url = url;
    this.wanted = null;
    this.list = null;
    this.cursor = null;
    this.map = null;
    this.era = null;
    this.end_s = 0;
    this.done = false;
    this.mime = mime;
    this.buffer = null;
  }

  async refresh(query = '') {
    const text = await get(this.url + query, 'text', this.session.signal);
    const fresh = parseMedia(text, this.url, this.list);
    if (!fresh) return this.refresh();
    const newest = this.list?.segments.at(-1)?.msn ?? -1;
    if ((fresh.segments.at(-1)?.msn ?? newest) < newest) throw new Error('the channel has started over');
    this.list = fresh;
    return fresh;
  }

  /** Puts the cursor on the last place before `wall_ms` where decoding can start. */
  seek(wall_ms) {
    const { segments } = this.list;
    const at = Math.max(0, segments.findLastIndex((segment) => segment.wall_ms <= wall_ms));
    const segment = segments[at];
    this.cursor = { msn: segment.msn, part: 0 };
    let start_ms = segment.wall_ms;
    let found_ms = start_ms;
    segment.parts.forEach((part, index) => {
      if ((part.independent || this.kind === 'audio') && start_ms <= wall_ms) {
        this.cursor.part = index;
        found_ms = start_ms;
      }
      start_ms += part.duration * 1000;
    });
    return { discontinuity: segment.discontinuity, wall_ms: found_ms };
  }

  async run() {
    const { session } = this;
    for (;;) {
      if (this.wanted && this.cursor.part === 0) await this.change();
      const step = this.next();
      if (step) {
        while (this.end_s - session.video.currentTime > AHEAD_S_MAX) await sleep(200, session.signal);
        await this.take(step);
      } else if (this.list.ended) {
        this.done = true;
        return;
      } else {
        await this.reload();
      }
    }
  }

  /** What to fetch next, or null when the playlist has no more. */
  next() {
    for (;;) {
      const { segments } = this.list;
      const { msn, part } = this.cursor;
      if (segments.length && msn < segments[0].msn) throw new Error('fell out of the window');
      const segment = segments.find((candidate) => candidate.msn === msn);
      if (!segment) return null;
      const after = { msn: msn + 1, part: 0 };
      if (segment.uri !== null && (part === 0 || segment.parts.length === 0)) {
        return { segment, uri: segment.uri, gap: segment.gap, start_s: 0, duration: segment.duration, after };
      }
      if (part < segment.parts.length) {
        const start_s = segment.parts.slice(0, part).reduce((sum, { duration }) => sum + duration, 0);
        return { segment, ...segment.parts[part], start_s, after: { msn, part: part + 1 } };
      }
      if (segment.uri === null) return null;
      this.cursor = after;
    }
  }

  async reload() {
    const { list, cursor, session } = this;
    const query = new URLSearchParams();
    if (list.can_block) {
      query.set('_HLS_msn', cursor.msn);
      if (list.part_target_s) query.set('_HLS_part', cursor.part);
    }
    if (list.can_skip) query.set('_HLS_skip', 'YES');
    const asked_ms = performance.now();
    try {
      await this.refresh(query.size ? `?${query}` : '');
    } catch (error) {
      // Only these two mean that the playlist itself is well.
      if (error.status !== 400 && error.status !== 503) throw error;
      session.player.note(error);
      await sleep(500, session.signal);
      await this.refresh();
    }
    // A server that doesn't block is polled at the pace of its media.
    const pace_ms = (list.part_target_s ?? list.target_s / 2) * 500;
    if (!this.next() && !this.list.ended) await sleep(Math.max(0, pace_ms - (performance.now() - asked_ms)), session.signal);
  }

  async take({ segment, uri, gap, start_s, duration, after }) {
    const { session } = this;
    if (gap) {
      this.cursor = after;
      return;
    }
    if (segment.map !== this.map) await this.takeHeader(segment.map);
    const asked_ms = performance.now();
    const bytes = await get(uri, 'arrayBuffer', session.signal);
    session.measure(this, bytes.byteLength, performance.now() - asked_ms);
    const placed_s = session.timeline.place(segment.discontinuity, segment.wall_ms + start_s * 1000);
    if (this.era !== segment.discontinuity) {
      this.buffer.timestampOffset = placed_s - decodeTime(bytes) / this.timescale;
      this.era = segment.discontinuity;
    }
    await this.append(bytes);
    this.end_s = placed_s + duration;
    session.timeline.end_s = Math.max(session.timeline.end_s, this.end_s);
    this.cursor = after;
  }

  async takeHeader(url) {
    const bytes = await get(url, 'arrayBuffer', this.session.signal);
    this.timescale = timescale(bytes);
    if (this.buffer.changeType) this.buffer.changeType(this.mime);
    await this.append(bytes);
    this.map = url;
    this.era = null;
  }

  async append(bytes) {
    try {
      await this.settle(() => this.buffer.appendBuffer(bytes));
    } catch (error) {
      if (error.name !== 'QuotaExceededError') throw error;
      await this.forget(2);
      await this.settle(() => this.buffer.appendBuffer(bytes));
    }
    await this.forget(BEHIND_S_KEPT);
  }

  /** Drops what was played more than `kept_s` ago, in steps worth the work. */
  async forget(kept_s) {
    const { buffered } = this.buffer;
    const until_s = this.session.video.currentTime - kept_s;
    if (buffered.length && until_s - buffered.start(0) > 5) await this.settle(() => this.buffer.remove(0, until_s));
  }

  settle(start) {
    this.session.signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const listening = new AbortController();
      const end = (finish, value) => () => { listening.abort(); finish(value); };
      const once = { signal: listening.signal };
      this.buffer.addEventListener('updateend', end(resolve), once);
      this.buffer.addEventListener('error', end(reject, new Error(`${this.kind} can't be decoded`)), once);
      this.session.signal.addEventListener('abort', end(reject, this.session.signal.reason), once);
      try {
        start();
      } catch (error) {
        end(reject, error)();
      }
    });
  }

  /** Goes over to the wanted rendition; the cursor is at the start of a segment. */
  async change() {
    const { list, cursor } = this;
    const last = list.segments.at(-1);
    const at = list.segments.find(({ msn }) => msn === cursor.msn);
    const wall_ms = at ? at.wall_ms : edge_ms(list);
    if (!at && (!last || last.uri === null)) return;
    const { url, mime, variant } = this.wanted;
    this.wanted = null;
    [this.url, this.mime, this.list] = [url, mime, null];
    const fresh = await this.refresh();
    const slack_ms = fresh.target_s * 500;
    const same = fresh.segments.find((segment) => Math.abs(segment.wall_ms - wall_ms) < slack_ms);
    this.cursor = { msn: same ? same.msn : (fresh.segments.at(-1)?.msn ?? cursor.msn - 1) + 1, part: 0 };
    this.session.variant = variant;
  }
}

/** One join: from the multivariant playlist to the first error or the end. */
class Session {
  constructor(player, url) {
    this.player = player;
    this.video = player.video;
    this.url = url;
    this.aborter = new AbortController();
    this.signal = this.aborter.signal;
    this.tracks = [];
    this.variants = [];
    this.variant = null;
    this.timeline = null;
    this.started = false;
    this.bps = null;
    this.switched_ms = performance.now();
    this.extra_s = 0;
    this.lag_s = null;
    this.still = { at_s: -1, since_ms: 0, counted: false };
  }

  async run() {
    const multivariant = parseMultivariant(await get(this.url, 'text', this.signal), this.url);
    const Source = globalThis.ManagedMediaSource ?? globalThis.MediaSource;
    this.variants = multivariant.variants.filter((variant) => Source.isTypeSupported(mimeOf(variant, true)));
    if (!this.variants.length) throw new Error('no rendition that this browser can play');
    this.variant = this.pick(FIRST_CHOICE_BPS);
    await this.open(Source, multivariant.audio);
    const timer = setInterval(() => this.tick(), TICK_MS);
    this.signal.addEventListener('abort', () => clearInterval(timer), { once: true });
    await Promise.all(this.tracks.map((track) => track.run()));
    if (this.source.readyState === 'open') this.source.endOfStream();
  }

  async open(Source, audio) {
    const group = audio.filter((rendition) => rendition.group === this.variant.audio);
    const sound = group.find((rendition) => rendition.isDefault) ?? group[0];
    this.hasAudioTrack = Boolean(sound);
    const kind = this.variant.width || !this.variant.codecs.every(isAudio) ? 'video' : 'audio';
    this.tracks.push(new Track(this, kind, this.variant.url, mimeOf(this.variant, !sound)));
    if (sound && sound.url !== this.variant.url) {
      const codecs = this.variant.codecs.filter(isAudio);
      this.tracks.push(new Track(this, 'audio', sound.url, `audio/mp4; codecs="${codecs.join(',')}"`));
    }
    this.source = new Source();
    this.video.disableRemotePlayback = true;
    const opened = new Promise((resolve) => this.source.addEventListener('sourceopen', resolve, { once: true }));
    this.object = URL.createObjectURL(this.source);
    this.video.src = this.object;
    await Promise.all([opened, ...this.tracks.map((track) => track.refresh())]);
    this.signal.throwIfAborted();
    this.source.duration = Infinity;
    for (const track of this.tracks) track.buffer = this.source.addSourceBuffer(track.mime);
    this.join();
  }

  join() {
    const { list } = this.tracks[0];
    const edges = this.tracks.map((track) => edge_ms(track.list));
    if (edges.includes(null)) throw new Error('no media listed yet');
    this.part_s = list.part_target_s ?? list.target_s;
    this.hold_s = holdBack_s(list);
    const start_ms = Math.min(...edges) - this.hold_s * 1000;
    const first = this.tracks.map((track) => track.seek(start_ms))[0];
    const origin_ms = first.wall_ms - LEAD_IN_S * 1000;
    this.timeline = new Timeline(first.discontinuity, origin_ms);
    this.start_s = Math.max(start_ms, first.wall_ms) / 1000 - origin_ms / 1000;
    for (const track of this.tracks) track.end_s = this.start_s;
  }

  close(reason) {
    this.aborter.abort(reason);
    if (this.object) URL.revokeObjectURL(this.object);
  }

  /** Seconds of media between the screen and the newest part taken. */
  get ahead_s() {
    return Math.min(...this.tracks.filter((track) => !track.done).map((track) => track.end_s)) - this.video.currentTime;
  }

  get target_s() {
    return this.hold_s - this.part_s / 2 + this.extra_s;
  }

  tick() {
    const { video } = this;
    if (!this.started) {
      if (covers(video.buffered, this.start_s)) this.begin(this.start_s);
      else if (video.buffered.length && video.buffered.end(0) > this.start_s + this.part_s) this.begin(video.buffered.start(0));
      return;
    }
    if (video.paused || video.seeking) {
      this.still.at_s = -1;
      this.lag_s = null;
      return;
    }
    this.watch();
    this.steer();
  }

  begin(at_s) {
    this.started = true;
    // Media went on while the first of it was fetched.
    const now_s = Math.min(...this.tracks.map((track) => track.end_s)) - this.target_s;
    this.video.currentTime = covers(this.video.buffered, now_s) ? Math.max(at_s, now_s) : at_s;
    this.video.play().catch((error) => { if (error.name !== 'AbortError') this.player.note(error); });
  }

  /** Whether enough was taken to play from `time_s` on without another stall. */
  covers(time_s) {
    return this.ahead_s + this.video.currentTime - time_s >= this.target_s;
  }

  /** Counts a stall once, and steps over holes that will not be filled. */
  watch() {
    const { video, still } = this;
    const now_ms = performance.now();
    if (video.currentTime !== still.at_s) {
      Object.assign(still, { at_s: video.currentTime, since_ms: now_ms, counted: false });
      if (video.readyState >= 3) this.player.become('playing');
      return;
    }
    if (now_ms - still.since_ms < 250 || video.ended) return;
    const next_s = nextStart(video.buffered, video.currentTime);
    if (next_s !== null && (this.covers(next_s) || now_ms - still.since_ms > HOLE_MS_MAX)) video.currentTime = next_s + 0.01;
    if (still.counted) return;
    still.counted = true;
    this.player.stalls += 1;
    this.player.become('stalled');
    this.extra_s = Math.min(this.extra_s + this.part_s / 2, 2);
  }

  /** Keeps the distance to the edge near its target by rate, far off by a seek. */
  steer() {
    const { video } = this;
    if (this.tracks.every((track) => track.done)) {
      video.playbackRate = 1;
      return;
    }
    const ahead_s = this.ahead_s;
    this.lag_s = this.lag_s === null ? ahead_s : this.lag_s + (ahead_s - this.lag_s) * 0.08;
    const error_s = this.lag_s - this.target_s;
    if (error_s > CATCH_UP_BY_SEEK_S && ahead_s - this.target_s > CATCH_UP_BY_SEEK_S) {
      video.currentTime += ahead_s - this.target_s;
      this.lag_s = null;
      return;
    }
    // Steering starts late and stops close to the target, so it does not hunt.
    const steering = video.playbackRate !== 1;
    let rate = 1;
    if (Math.abs(error_s) > (steering ? 0.03 : 0.12)) {
      rate = Math.min(RATE.fastest, Math.max(RATE.slowest, 1 + error_s * 0.2));
    }
    if (Math.abs(rate - video.playbackRate) > 0.004 || (rate === 1 && steering)) video.playbackRate = rate;
  }

  measure(track, bytes, took_ms) {
    if (track !== this.tracks[0] || bytes < THROUGHPUT_BYTES_MIN) return;
    const bps = (bytes * 8000) / Math.max(took_ms, 1);
    this.bps = this.bps === null ? bps : this.bps + (bps - this.bps) * 0.2;
    if (this.player.manual === null) this.adapt(this.pick(this.bps));
  }

  /** The best variant for a throughput, or the one chosen by hand. */
  pick(bps) {
    const chosen = this.variants.find((variant) => variant.height === this.player.manual);
    return chosen ?? this.variants.find((variant) => variant.bandwidth < bps * 0.7) ?? this.variants.at(-1);
  }

  adapt(variant) {
    const now_ms = performance.now();
    const up = variant.bandwidth > this.variant.bandwidth;
    if (variant === this.variant || (up && now_ms - this.switched_ms < SWITCH_UP_MS_MIN)) return;
    this.go(variant);
  }

  go(variant) {
    this.switched_ms = performance.now();
    this.tracks[0].wanted = variant.url === this.tracks[0].url
      ? null
      : { variant, url: variant.url, mime: mimeOf(variant, !this.hasAudioTrack) };
  }
}

const isAudio = (codec) => /^(mp4a|ac-[34]|ec-3|opus|flac)/i.test(codec);

function mimeOf(variant, withAudio) {
  const codecs = withAudio ? variant.codecs : variant.codecs.filter((codec) => !isAudio(codec));
  const type = codecs.length && codecs.every(isAudio) ? 'audio' : 'video';
  return `${type}/mp4; codecs="${(codecs.length ? codecs : variant.codecs).join(',')}"`;
}

function covers(ranges, time_s) {
  for (let i = 0; i < ranges.length; i += 1) {
    if (ranges.start(i) <= time_s + 0.02 && ranges.end(i) > time_s + 0.05) return true;
  }
  return false;
}

/** Start of the range that comes after the hole at `time_s`, or null. */
function nextStart(ranges, time_s) {
  for (let i = 0; i < ranges.length; i += 1) {
    if (ranges.start(i) > time_s) return ranges.start(i);
    if (ranges.end(i) > time_s + 0.1) return null;
  }
  return null;
}

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
