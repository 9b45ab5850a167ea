// One join of a channel, from its multivariant playlist to the first error.

import { get } from './http.js';
import { edge_ms, holdBack_s, parseMultivariant } from './playlist.js';
import { Timeline } from './timeline.js';
import { Track } from './track.js';

const TICK_MS = 100;
/** Presentation time of the first segment joined, so that no time is negative. */
const LEAD_IN_S = 10;
const RATE = { slowest: 0.97, fastest: 1.05 };
/** Farther behind the target than this is caught up by a seek. */
const CATCH_UP_BY_SEEK_S = 3;
const FIRST_CHOICE_BPS = 3_000_000;
/** Smaller bodies tell the delay of the path, not its throughput. */
const THROUGHPUT_BYTES_MIN = 8_000;
const SWITCH_UP_MS_MIN = 6_000;

/** One join: from the multivariant playlist to the first error or the end. */
export class Session {
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
  isEnoughAfter(time_s) {
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
    if (next_s !== null && this.isEnoughAfter(next_s)) video.currentTime = next_s + 0.01;
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
