// An encoder falls silent for a while, and then brings all it owes at once.

import assert from 'node:assert/strict';
import test from 'node:test';

import { Browser } from '../lib/browser.js';
import { ffmpegs, push } from '../lib/encoders.js';
import { Origin } from '../lib/origin.js';
import { sleep, until } from '../lib/process.js';
import { Table } from '../lib/verdict.js';

const STRETCH_MS = Number(process.env.E2E_SECONDS ?? 45) * 200;

test('players of an encoder that stalls play on when it is back', async (t) => {
  const [origin, browser] = await Promise.all([Origin.start(), Browser.start()]);
  t.after(() => origin.stop());
  t.after(() => browser.stop());
  const encoder = push(ffmpegs().at(-1), 'one POST a track', origin, 'live');
  t.after(async () => {
    encoder.child.kill('SIGCONT');
    await encoder.stop('SIGKILL');
  });
  await origin.live('live', 2);
  const page = await browser.play(origin.playlist('live'));
  await sleep(STRETCH_MS);
  const table = new Table('hls.js over two stalls of an encoder');
  for (const silent_ms of [2_000, 7_000]) {
    await page.evaluate(() => globalThis.thaw());
    encoder.child.kill('SIGSTOP');
    await sleep(silent_ms);
    encoder.child.kill('SIGCONT');
    const again_ms = Date.now();
    await until(`play after ${silent_ms} ms of silence`, 15_000, async () => {
      const { playing_ms, stillFor_ms } = await page.report();
      return playing_ms > again_ms - 2_000 && stillFor_ms < 300;
    });
    table.add(`${silent_ms} ms`, await page.report());
    await page.evaluate(() => globalThis.thaw());
    await sleep(STRETCH_MS);
    const { frozen_ms, playing_ms, errors } = await page.report();
    assert.ok(frozen_ms < 1_000, `after ${silent_ms} ms of silence it froze for ${frozen_ms} ms`);
    assert.ok(Date.now() - playing_ms < 15_000, 'and it plays near live');
    assert.deepEqual(errors.filter(({ fatal }) => fatal), [], 'no error is fatal');
  }
  table.print();
});
