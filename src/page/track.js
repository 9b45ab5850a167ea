// One track: its media playlist, its requests, its source buffer.

import { decodeTime, timescale } from './bmff.js';
import { get, sleep } from './http.js';
import { edge_ms, parseMedia } from './playlist.js';

const AHEAD_S_MAX = 20;
const BEHIND_S_KEPT = 15;

/** One source buffer and the media playlist that feeds it. */
export class Track {
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

  /** Where it stands, for those who look into a player that doesn't go on. */
  get report() {
    const { kind, url, cursor, end_s, done, buffer } = this;
    const ranges = buffer?.buffered ?? { length: 0 };
    const buffered = Array.from({ length: ranges.length }, (_, i) => [ranges.start(i), ranges.end(i)]);
    return { kind, url, cursor, end_s, done, buffered };
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
