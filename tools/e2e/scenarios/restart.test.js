// An encoder dies and comes back, twice, while players watch it and another.

import assert from 'node:assert/strict';
import test from 'node:test';

import { parseMedia, parseMultivariant } from '../../../src/page/playlist.js';
import { Browser } from '../lib/browser.js';
import { ffmpegs, push } from '../lib/encoders.js';
import { Origin } from '../lib/origin.js';
import { sleep, until } from '../lib/process.js';
import { assertFlawless, Table } from '../lib/verdict.js';

const WAY = 'one POST a track';
const STRETCH_MS = Number(process.env.E2E_SECONDS ?? 45) * 333;
const DOWN_MS = 1_000;

/** Newest media sequence number and discontinuity of a channel's video. */
async function edge(origin, channel) {
  const base = origin.playlist(channel);
  const { variants } = parseMultivariant(await (await fetch(base)).text(), base);
  const list = parseMedia(await (await fetch(variants[0].url)).text(), variants[0].url);
  const { msn, discontinuity } = list.segments.at(-1);
  return { msn, discontinuity };
}

test('players of a restarted encoder play on, others notice nothing', async (t) => {
  const [origin, browser] = await Promise.all([Origin.start(), Browser.start()]);
  t.after(() => origin.stop());
  t.after(() => browser.stop());
  const ffmpeg = ffmpegs().at(-1);
  const calm = push(ffmpeg, WAY, origin, 'calm');
  let shaken = push(ffmpeg, WAY, origin, 'shaken');
  t.after(() => Promise.all([calm.stop('SIGKILL'), shaken.stop('SIGKILL')]));
  await Promise.all(['calm', 'shaken'].map((channel) => origin.live(channel, 2)));
  const pages = {
    calm: await browser.play(origin.playlist('calm')),
    shaken: await browser.play(origin.playlist('shaken')),
  };
  const started_ms = Date.now();
  await sleep(STRETCH_MS);

  for (const life of ['second', 'third']) {
    const before = await edge(origin, 'shaken');
    await shaken.stop('SIGKILL');
    await sleep(DOWN_MS);
    const again_ms = Date.now();
    shaken = push(ffmpeg, WAY, origin, 'shaken');
    await until(`discontinuity after the ${life} start`, 10_000, async () => (
      (await edge(origin, 'shaken')).discontinuity > before.discontinuity
    ));
    const after = await edge(origin, 'shaken');
    assert.ok(after.msn > before.msn, `numbers rise: ${before.msn}, ${after.msn}`);
    await until(`play of the encoder's ${life} life`, 15_000, async () => {
      const { playing_ms, stillFor_ms } = await pages.shaken.report();
      return playing_ms > again_ms && stillFor_ms < 300;
    });
    await pages.shaken.evaluate(() => globalThis.thaw());
    await sleep(STRETCH_MS);
    const { frozen_ms, playing_ms } = await pages.shaken.report();
    // hls.js goes on with one part in hand, and may stand still once more for the next.
    assert.ok(frozen_ms < 2_000, `after the ${life} start it froze for ${frozen_ms} ms`);
    assert.ok(Date.now() - playing_ms < 15_000, 'and it plays near live');
  }

  const seconds = (Date.now() - started_ms) / 1000;
  const reports = { calm: await pages.calm.report(), shaken: await pages.shaken.report() };
  const table = new Table(`hls.js over two kills of an encoder, ${seconds.toFixed(0)} s`);
  for (const [channel, report] of Object.entries(reports)) table.add(channel, report);
  table.print();
  assertFlawless(reports.calm, { seconds, latency_s_max: 2.5 });
  assert.deepEqual(reports.shaken.errors.filter(({ fatal }) => fatal), [], 'no error is fatal');
});
