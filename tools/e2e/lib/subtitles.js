// Live WebVTT in CMAF (ISO/IEC 14496-30), one PUT a segment.

import { setTimeout as sleep } from 'node:timers/promises';

const TRACK = 1;
const TIMESCALE = 1_000;
const SEGMENT_MS = 2_000;
/** How long a cue is shown; the rest of its segment is empty. */
const CUE_MS = 1_500;

const text = (string) => Buffer.from(string, 'utf8');
const zeros = (count) => Buffer.alloc(count);

function u16(value) {
  const bytes = zeros(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function u32(...values) {
  const bytes = zeros(4 * values.length);
  values.forEach((value, i) => bytes.writeUInt32BE(value, 4 * i));
  return bytes;
}

function u64(value) {
  const bytes = zeros(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

function box(type, ...contents) {
  const payload = Buffer.concat(contents);
  return Buffer.concat([u32(8 + payload.length), text(type), payload]);
}

const fullBox = (type, version, flags, ...contents) => box(type, u32(version * 2 ** 24 + flags), ...contents);

/** The unit matrix of mvhd and tkhd. */
const MATRIX = u32(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000);

/** ISO 639-2 in the 15 bits of mdhd. */
const packed = (language) => [...language].reduce((bits, letter) => bits * 32 + letter.charCodeAt(0) - 0x60, 0);

/** The CMAF header of a `wvtt` track. */
export function header(language) {
  const table = box(
    'stbl',
    fullBox('stsd', 0, 0, u32(1), box('wvtt', zeros(6), u16(1), box('vttC', text('WEBVTT')))),
    fullBox('stts', 0, 0, u32(0)),
    fullBox('stsc', 0, 0, u32(0)),
    fullBox('stsz', 0, 0, u32(0, 0)),
    fullBox('stco', 0, 0, u32(0)),
  );
  const media = box(
    'mdia',
    fullBox('mdhd', 0, 0, u32(0, 0, TIMESCALE, 0), u16(packed(language)), u16(0)),
    fullBox('hdlr', 0, 0, u32(0), text('text'), zeros(12), text('subtitles\0')),
    box('minf', fullBox('nmhd', 0, 0), box('dinf', fullBox('dref', 0, 0, u32(1), fullBox('url ', 0, 1))), table),
  );
  return Buffer.concat([
    box('ftyp', text('cmfc'), u32(0), text('iso6cmfc')),
    box(
      'moov',
      fullBox('mvhd', 0, 0, u32(0, 0, TIMESCALE, 0, 0x10000), u16(0x100), zeros(10), MATRIX, zeros(24), u32(TRACK + 1)),
      box('trak', fullBox('tkhd', 0, 7, u32(0, 0, TRACK, 0, 0), zeros(16), MATRIX, u32(0, 0)), media),
      box('mvex', fullBox('trex', 0, 0, u32(TRACK, 1, 0, 0, 0))),
    ),
  ]);
}

/** The segment at an index: a cue that says which it is, and then none. */
export function segment(index) {
  const samples = [
    { duration: CUE_MS, data: box('vttc', box('payl', text(`Segment ${index}`))) },
    { duration: SEGMENT_MS - CUE_MS, data: box('vtte') },
  ];
  const moof = (dataOffset) => box(
    'moof',
    fullBox('mfhd', 0, 0, u32(index + 1)),
    box(
      'traf',
      fullBox('tfhd', 0, 0x020000, u32(TRACK)),
      fullBox('tfdt', 1, 0, u64(index * SEGMENT_MS)),
      fullBox(
        'trun', 0, 0x000301, u32(samples.length, dataOffset),
        ...samples.map(({ duration, data }) => u32(duration, data.length)),
      ),
    ),
  );
  return Buffer.concat([
    box('styp', text('cmfs'), u32(0), text('iso6cmfs')),
    moof(moof(0).length + 8),
    box('mdat', ...samples.map(({ data }) => data)),
  ]);
}

/** A live track of text whose time 0 is now: a segment is sent once its time has passed. */
export class SubtitlePush {
  constructor(origin, channel, language) {
    this.url = (name) => origin.ingest(channel, `text/${name}`);
    this.stopped = new AbortController();
    /** What became of it: null while all is well. */
    this.trouble = null;
    this.ended = this.run(language).catch((error) => {
      if (!this.stopped.signal.aborted) this.trouble = error;
    });
  }

  async run(language) {
    const start_ms = Date.now();
    await this.put('init.mp4', header(language));
    for (let index = 0; ; index += 1) {
      const due_ms = start_ms + (index + 1) * SEGMENT_MS;
      await sleep(Math.max(0, due_ms - Date.now()), null, { signal: this.stopped.signal });
      await this.put(`${index + 1}.m4s`, segment(index));
    }
  }

  async put(name, body) {
    const response = await fetch(this.url(name), { method: 'PUT', body, signal: this.stopped.signal });
    const said = await response.text();
    if (!response.ok) throw new Error(`${name}: status ${response.status}: ${said}`);
  }

  async stop() {
    this.stopped.abort();
    await this.ended;
  }
}
