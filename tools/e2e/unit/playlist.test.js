// The page's own readers: playlists and the boxes it looks into.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

import { decodeTime, timescale } from '../../../src/page/bmff.js';
import { attributes, edge_ms, holdBack_s, parseMedia, parseMultivariant } from '../../../src/page/playlist.js';

const BASE = 'http://origin.test/live/ch/v1.m3u8';

const FULL = `#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:2
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.50000,CAN-SKIP-UNTIL=12.00000
#EXT-X-PART-INF:PART-TARGET=0.50000
#EXT-X-MEDIA-SEQUENCE:100
#EXT-X-DISCONTINUITY-SEQUENCE:3
#EXT-X-MAP:URI="v1/g-h1.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000Z
#EXTINF:2.00000,
v1/g-s100.m4s
#EXT-X-GAP
#EXTINF:1.00000,
v1/g-s101.m4s
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="v1/g-h2.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:10.000Z
#EXT-X-PART:DURATION=0.50000,URI="v1/g-p7.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.50000,URI="v1/g-p8.m4s",GAP=YES
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="v1/g-p9.m4s"
`;

test('an attribute list keeps commas inside quotes', () => {
  assert.deepEqual(attributes('BANDWIDTH=1,CODECS="avc1.4d401f,mp4a.40.2",AUDIO="a"'), {
    BANDWIDTH: '1', CODECS: 'avc1.4d401f,mp4a.40.2', AUDIO: 'a',
  });
});

test('a media playlist tells number, discontinuity, wall clock, header and parts of each segment', () => {
  const list = parseMedia(FULL, BASE);
  assert.deepEqual([list.target_s, list.part_target_s, list.can_block, list.can_skip, list.ended], [2, 0.5, true, true, false]);
  assert.deepEqual(list.segments.map(({ msn }) => msn), [100, 101, 102]);
  assert.deepEqual(list.segments.map(({ discontinuity }) => discontinuity), [3, 3, 4]);
  assert.deepEqual(list.segments.map(({ gap }) => gap), [false, true, false]);
  const [first, second, open] = list.segments;
  assert.equal(second.wall_ms, first.wall_ms + 2000, 'a segment without a date follows the one before it');
  assert.equal(open.uri, null);
  assert.equal(open.map, 'http://origin.test/live/ch/v1/g-h2.mp4');
  assert.deepEqual(open.parts.map(({ independent, gap }) => [independent, gap]), [[true, false], [false, true]]);
  assert.equal(edge_ms(list), Date.parse('2026-01-01T00:00:11.000Z'));
  assert.equal(holdBack_s(list), 1.5);
});

test('a delta update is completed from the playlist before it', () => {
  const previous = parseMedia(FULL, BASE);
  const delta = FULL
    .replace(/#EXT-X-MAP:URI="v1\/g-h1[^]*g-s101.m4s\n/, '#EXT-X-SKIP:SKIPPED-SEGMENTS=2\n')
    .replace('#EXT-X-PRELOAD-HINT', '#EXT-X-PART:DURATION=0.5,URI="v1/g-p9.m4s"\n#EXT-X-PRELOAD-HINT');
  const list = parseMedia(delta, BASE, previous);
  assert.deepEqual(list.segments.slice(0, 2), previous.segments.slice(0, 2));
  assert.equal(list.segments[2].discontinuity, 4);
  assert.equal(list.segments[2].parts.length, 3);
  assert.equal(parseMedia(delta, BASE, null), null, 'nothing to complete it from');
});

test('without parts the hold-back is three target durations', () => {
  assert.equal(holdBack_s(parseMedia('#EXTM3U\n#EXT-X-TARGETDURATION:4\n', BASE)), 12);
});

test('a multivariant playlist gives variants by falling bandwidth and their audio', () => {
  const { variants, audio } = parseMultivariant(`#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="en",DEFAULT=YES,URI="a1.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=100,CODECS="avc1.1,mp4a.40.2",RESOLUTION=480x270,AUDIO="a"
v2.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=500,CODECS="avc1.2,mp4a.40.2",RESOLUTION=960x540,AUDIO="a"
v1.m3u8
`, 'http://origin.test/live/ch/index.m3u8');
  assert.deepEqual(variants.map(({ height, url }) => [height, url]), [[540, BASE], [270, BASE.replace('v1', 'v2')]]);
  assert.deepEqual(audio, [{ group: 'a', name: 'en', isDefault: true, url: BASE.replace('v1', 'a1') }]);
});

test('what is not a playlist is refused', () => {
  assert.throws(() => parseMedia('<html>', BASE), /not a playlist/);
});

test('time scale and decode time of the demo media', () => {
  for (const [name, ticks] of [['video-540p.cmfv', 90000], ['audio.cmfa', 48000]]) {
    const bytes = new Uint8Array(readFileSync(new URL(`../../../fixtures/demo/${name}`, import.meta.url))).buffer;
    assert.equal(timescale(bytes), ticks);
    assert.equal(decodeTime(bytes), 0);
  }
});
