// Where the page's player puts media, and which wall clock a moment has.

import assert from 'node:assert/strict';
import test from 'node:test';

import { Timeline } from '../../../src/page/timeline.js';

const ORIGIN_MS = 1_000_000;

test('presentation time and wall clock differ by a constant', () => {
  const timeline = new Timeline(3, ORIGIN_MS);
  assert.equal(timeline.place(3, ORIGIN_MS + 12_500), 12.5);
  assert.equal(timeline.wallAt_ms(12.5), ORIGIN_MS + 12_500);
});

test('a hole of some seconds stays a hole', () => {
  const timeline = new Timeline(0, ORIGIN_MS);
  timeline.end_s = 20;
  assert.equal(timeline.place(1, ORIGIN_MS + 23_000), 23);
  assert.equal(timeline.wallAt_ms(24), ORIGIN_MS + 24_000);
});

test('a clock that jumps is closed up, for all tracks alike', () => {
  for (const jump_ms of [-3_600_000, 3_600_000]) {
    const timeline = new Timeline(0, ORIGIN_MS);
    timeline.end_s = 20;
    const wall_ms = ORIGIN_MS + jump_ms;
    assert.equal(timeline.place(1, wall_ms), 20, 'it goes on where media ended');
    timeline.end_s = 22;
    assert.equal(timeline.place(1, wall_ms + 10), 20.01, 'the second track follows the first');
    assert.equal(timeline.wallAt_ms(21), wall_ms + 1_000);
    assert.equal(timeline.wallAt_ms(19), ORIGIN_MS + 19_000, 'what came before keeps its clock');
  }
});
