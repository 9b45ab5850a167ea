// `headwater demo`: one command, one page, a live picture.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';

import { Browser } from '../lib/browser.js';
import { BINARY } from '../lib/origin.js';
import { Process, sleep, until } from '../lib/process.js';
import { quantile, settled, Table } from '../lib/verdict.js';

const SECONDS = Number(process.env.E2E_SECONDS ?? 30);
const SHOTS = process.env.E2E_SHOTS;

test('the demo plays on its own page within five seconds of its first line', async (t) => {
  const demo = new Process('headwater demo', BINARY, ['demo']);
  t.after(() => demo.stop());
  // The browser starts with the demo, so that its own start does not count.
  const browser = await Browser.start();
  t.after(() => browser.stop());
  const [url] = await demo.line(/http:\/\/[^\s/]+\/(?=\s|$)/, 10_000);
  const page = await browser.open(url, { width: 1360, height: 1000 });
  const look = () => page.evaluate(() => {
    const { state, latency, stalls, errors, currentTime, frames, dropped, tracks } = globalThis.headwater;
    return { state, latency, stalls, errors, currentTime, frames, dropped, tracks };
  });
  await until('playing picture', 5_000, async () => {
    const now = await look();
    return now.state === 'playing' && now.frames > 0;
  });

  const latencies_s = [];
  const from = await look();
  let to = from;
  for (let i = 0; i < SECONDS * 4 && to.stalls === 0; i += 1) {
    await sleep(250);
    to = await look();
    latencies_s.push(to.latency);
  }
  const median_s = quantile(settled(latencies_s), 0.5);
  const table = new Table(`headwater demo, ${SECONDS} s in the page's own player`);
  table.add('demo', { ...to, latencies_s, frozen_ms: 0, troubles: page.troubles, played_s: to.currentTime - from.currentTime });
  table.print();
  if (SHOTS) {
    mkdirSync(SHOTS, { recursive: true });
    await page.screenshot({ path: join(SHOTS, 'demo.png'), fullPage: true });
  }
  assert.deepEqual(page.troubles, []);
  assert.deepEqual(to.errors, []);
  assert.equal(to.stalls, 0, JSON.stringify(to.tracks));
  assert.equal(to.state, 'playing');
  assert.ok(to.currentTime - from.currentTime > SECONDS * 0.95, `${to.currentTime - from.currentTime} s were played`);
  assert.ok(median_s < 3, `the median latency is ${median_s} s`);
  assert.ok(demo.isRunning);
});
