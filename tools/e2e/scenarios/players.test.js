// Four players at one ladder, each as an integrator would set it up.

import { after, before, describe, test } from 'node:test';

import { Browser } from '../lib/browser.js';
import { ffmpegs, push, PUSHES } from '../lib/encoders.js';
import { Origin } from '../lib/origin.js';
import { sleep, until } from '../lib/process.js';
import { assertFlawless, Table } from '../lib/verdict.js';

const SECONDS = Number(process.env.E2E_SECONDS ?? 60);
/** Players that share the machine at once. */
const AT_ONCE = Number(process.env.E2E_AT_ONCE ?? 2);
const WAY = 'a ladder';
const SEGMENT_S = 2;
const START_MS_MAX = 10_000;

// With parts of 0.5 s a player holds back 1.5 s from the end of the list,
// which is up to a part old; the rest is slack for a busy machine. Without
// parts it holds back three target durations from the end of a list that grows
// by whole segments, and starts on a segment's first picture.
const LOW_S = 2.5;
const PLAIN_S = 3 * SEGMENT_S + SEGMENT_S + 1;
// video.js and Shaka Player ask for a list a part after the last, whenever that
// was, and so know of a part later.
const LOW_AND_LATE_S = LOW_S + 0.5;

const PLAYERS = {
  'hls.js, low latency': { wishes: { player: 'hls' }, latency_s_max: LOW_S },
  'hls.js, low latency off': { wishes: { player: 'hls', ll: 'no' }, latency_s_max: PLAIN_S },
  'Shaka Player, low latency': { wishes: { player: 'shaka' }, latency_s_max: LOW_AND_LATE_S },
  // It settles nearer to the edge than PART-HOLD-BACK asks, and has stood still for 1.4 s there.
  'video.js': { wishes: { player: 'videojs' }, latency_s_max: LOW_AND_LATE_S, frozen_ms_max: 5_000 },
};

describe('players', { concurrency: AT_ONCE }, () => {
  const table = new Table(`Players of a ladder of three, ${SECONDS} s each, ${AT_ONCE} at once`);
  let origin;
  let browser;
  let encoder;
  before(async () => {
    [origin, browser] = await Promise.all([Origin.start(), Browser.start()]);
    encoder = push(ffmpegs().at(-1), WAY, origin, 'ladder');
    await origin.live('ladder', PUSHES[WAY].playlists).catch((error) => {
      throw encoder.trouble(`and ${error.message}`);
    });
  });
  after(async () => {
    table.print();
    await encoder?.stop('SIGKILL');
    await browser?.stop();
    await origin?.stop();
  });

  for (const [name, { wishes, ...bounds }] of Object.entries(PLAYERS)) {
    test(name, async (t) => {
      const page = await browser.play(origin.playlist('ladder'), wishes);
      t.after(() => page.context().close());
      // How long a browser takes to begin is the machine's business.
      await until('picture', START_MS_MAX, async () => (await page.report()).first_ms !== null);
      await sleep(SECONDS * 1000);
      const report = await page.report();
      table.add(name, report);
      assertFlawless(report, { seconds: SECONDS, ...bounds });
    });
  }
});
