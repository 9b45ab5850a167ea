// hls.js in low-latency mode changes renditions, in each of its three ways.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Browser } from '../lib/browser.js';
import { ffmpegs, LADDER, push, PUSHES } from '../lib/encoders.js';
import { Origin } from '../lib/origin.js';
import { sleep, until } from '../lib/process.js';
import { assertFlawless, Table } from '../lib/verdict.js';

const SECONDS = Number(process.env.E2E_SECONDS ?? 60);
/** Players that share the machine at once. */
const AT_ONCE = Number(process.env.E2E_AT_ONCE ?? 2);
const WAY = 'a ladder';
/** Widths to change to, from whichever is played; no two that follow are alike. */
const WIDTHS = [320, 640, 480, 320, 640];
const CHANGED_MS_MAX = 8_000;

/** What a user's choice, its gentler form and the player's own choice set. */
const WAYS = ['currentLevel', 'nextLevel', 'loadLevel'];

/** Sets the level of a width; five of them make five changes. */
async function change(page, way, width) {
  await page.evaluate(([name, wanted]) => {
    const { hls } = globalThis.player;
    hls[name] = hls.levels.findIndex((level) => level.width === wanted);
  }, [way, width]);
  const started_ms = Date.now();
  await until(`picture ${width} wide by ${way}`, CHANGED_MS_MAX, async () => (await page.report()).width === width);
  return Date.now() - started_ms;
}

describe('switching', { concurrency: AT_ONCE }, () => {
  const table = new Table(`hls.js changes levels ${WIDTHS.length} times in ${SECONDS} s, ${AT_ONCE} at once`);
  let origin;
  let browser;
  let encoder;
  before(async () => {
    assert.ok(WIDTHS.every((width) => LADDER.some(([rung]) => rung === width)));
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

  for (const way of WAYS) {
    test(`five changes by ${way}`, async (t) => {
      const page = await browser.play(origin.playlist('ladder'));
      t.after(() => page.context().close());
      await until('picture', CHANGED_MS_MAX, async () => (await page.report()).first_ms !== null);
      const started_ms = Date.now();
      // The last picture of the start must not be the first change's.
      await change(page, way, 480);
      const before = (await page.report()).widths.length;
      const stretch_ms = (SECONDS * 1000) / (WIDTHS.length + 1);
      for (const [i, width] of WIDTHS.entries()) {
        await sleep(started_ms + (i + 1) * stretch_ms - Date.now());
        await change(page, way, width);
      }
      await sleep(started_ms + SECONDS * 1000 - Date.now());
      const report = await page.report();
      table.add(way, report);
      assert.deepEqual(report.widths.slice(before), WIDTHS, 'every change was seen, and no other');
      assertFlawless(report, { seconds: SECONDS, latency_s_max: 2.5 });
    });
  }
});
