// Shaka Packager's low-latency DASH push, played by hls.js.

import assert from 'node:assert/strict';
import test from 'node:test';

import { Browser } from '../lib/browser.js';
import { ffmpegs, packager, PackagerPush } from '../lib/encoders.js';
import { Origin } from '../lib/origin.js';
import { sleep } from '../lib/process.js';
import { assertFlawless, Table } from '../lib/verdict.js';

const SECONDS = Number(process.env.E2E_SECONDS ?? 60);

test('Shaka Packager in low-latency mode plays in hls.js', async (t) => {
  const path = packager();
  assert.ok(path, 'Shaka Packager is missing: tools/setup.sh installs it');
  const [origin, browser] = await Promise.all([Origin.start(), Browser.start()]);
  t.after(() => origin.stop());
  t.after(() => browser.stop());
  const encoder = new PackagerPush(path, ffmpegs()[0], origin, 'shaka');
  t.after(() => encoder.stop());
  await origin.live('shaka', 2).catch((error) => { throw encoder.trouble(`and ${error.message}`); });
  const page = await browser.play(origin.playlist('shaka'));
  await sleep(SECONDS * 1000);
  const report = await page.report();
  const table = new Table(`hls.js behind Shaka Packager, ${SECONDS} s`);
  table.add('low-latency DASH', report);
  table.print();
  assert.ok(encoder.isRunning, encoder.trouble('ended').message);
  // The packager reads its input in blocks of 64 KiB, about a second of it.
  assertFlawless(report, { seconds: SECONDS, latency_s_max: 6 });
});
