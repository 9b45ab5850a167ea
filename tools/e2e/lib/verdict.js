// What counts as good play, and a table of how it went.

import assert from 'node:assert/strict';

/** A picture that stands still for longer than this is a stall. */
const FROZEN_MS_MAX = 700;
/** What players gain or lose on the wall clock while they settle: they change
 * their rate and skip to get to their latency. */
const GAINED_S_MAX = 5;

export function quantile(values, share) {
  const sorted = [...values].filter(Number.isFinite).sort((a, b) => a - b);
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] : NaN;
}

/** Latency once a player has settled: the first fifth is its way there. */
export function settled(latencies_s) {
  return latencies_s.slice(Math.floor(latencies_s.length / 5));
}

export class Table {
  constructor(title) {
    this.title = title;
    this.rows = [];
  }

  add(name, report) {
    const latency = settled(report.latencies_s);
    this.rows.push({
      '': name,
      'median s': quantile(latency, 0.5).toFixed(2),
      'p95 s': quantile(latency, 0.95).toFixed(2),
      'longest freeze ms': Math.round(report.frozen_ms),
      errors: report.errors.length,
      'failed requests': report.troubles.length,
      'played s': report.played_s.toFixed(0),
      'dropped / frames': `${report.dropped} / ${report.frames}`,
    });
  }

  print() {
    if (!this.rows.length) return;
    const heads = Object.keys(this.rows[0]);
    const width = (head) => Math.max(head.length, ...this.rows.map((row) => String(row[head]).length));
    const line = (cells) => `  ${cells.map((cell, i) => String(cell).padEnd(width(heads[i]))).join('  ')}`.trimEnd();
    console.log([`\n${this.title}`, line(heads), ...this.rows.map((row) => line(Object.values(row))), ''].join('\n'));
  }
}

/** Not one error, refusal or stall, for as long as was asked, close to live. */
export function assertFlawless(report, { seconds, latency_s_max, frozen_ms_max = FROZEN_MS_MAX }) {
  assert.deepEqual(report.troubles, [], 'every request is answered well');
  assert.deepEqual(report.errors.map(({ text }) => text), [], 'the player reports no error');
  assert.ok(report.frozen_ms < frozen_ms_max, `the picture stood still: ${JSON.stringify(report.freezes)}`);
  assert.ok(report.played_s > seconds * 0.9, `it played ${report.played_s} s of ${seconds}`);
  const gained_s = report.advanced_s - report.played_s;
  assert.ok(Math.abs(gained_s) < GAINED_S_MAX, `it moved ${report.advanced_s} s on in ${report.played_s} s`);
  assert.ok(report.width > 0 && report.frames > report.played_s * 10, `${report.frames} frames were shown`);
  const median_s = quantile(settled(report.latencies_s), 0.5);
  assert.ok(median_s < latency_s_max, `the median latency is ${median_s} s`);
}
