// Every ffmpeg at hand, pushing in every way, played by hls.js without a flaw.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Browser } from '../lib/browser.js';
import { ffmpegs, push, PUSHES } from '../lib/encoders.js';
import { Origin } from '../lib/origin.js';
import { sleep } from '../lib/process.js';
import { assertFlawless, Table } from '../lib/verdict.js';

const SECONDS = Number(process.env.E2E_SECONDS ?? 60);
/** Encoders and players that share the machine at once. */
const AT_ONCE = Number(process.env.E2E_AT_ONCE ?? 2);

describe('ffmpeg', { concurrency: AT_ONCE }, () => {
  const table = new Table(`hls.js behind ffmpeg, ${SECONDS} s each, ${AT_ONCE} at once`);
  let origin;
  let browser;
  before(async () => { [origin, browser] = await Promise.all([Origin.start(), Browser.start()]); });
  after(async () => {
    table.print();
    await browser?.stop();
    await origin?.stop();
  });

  const found = ffmpegs();
  let number = 0;
  for (const ffmpeg of found) {
    for (const way of Object.keys(PUSHES)) {
      const channel = `ch${number += 1}`;
      test(`ffmpeg ${ffmpeg.version}, ${way}`, async (t) => {
        const encoder = push(ffmpeg, way, origin, channel);
        t.after(() => encoder.stop('SIGKILL'));
        await origin.live(channel, PUSHES[way].playlists).catch((error) => {
          throw encoder.trouble(`and ${error.message}`);
        });
        const page = await browser.play(origin.playlist(channel));
        t.after(() => page.context().close());
        await sleep(SECONDS * 1000);
        const report = await page.report();
        table.add(`ffmpeg ${ffmpeg.version}, ${way}`, report);
        assert.ok(encoder.isRunning, 'the encoder is content');
        assertFlawless(report, { seconds: SECONDS, latency_s_max: 2.5 });
      });
    }
  }

  test('a current ffmpeg was at hand beside the distribution\'s', () => {
    assert.ok(found.length >= 2, 'tools/setup.sh installs one');
  });
});
