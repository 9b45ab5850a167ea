// dash.js and Shaka Player at low-latency DASH, by number and by timeline, behind
// every kind of encoder, and over an encoder's restart.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Browser } from '../lib/browser.js';
import { ffmpegs, packager, PackagerPush, push } from '../lib/encoders.js';
import { Origin } from '../lib/origin.js';
import { sleep, until } from '../lib/process.js';
import { assertFlawless, quantile, settled, Table } from '../lib/verdict.js';

const SECONDS = Number(process.env.E2E_SECONDS ?? 60);
const SHOTS = process.env.E2E_SHOTS;
const START_MS_MAX = 15_000;
/** How far players may be from their target: half of it on a machine that has nothing else to do (E2E_OFF_S=0.5). */
const OFF_S_MAX = Number(process.env.E2E_OFF_S ?? 1);
const BROKE_OFF = /Shaka Error 1002 .*-s\d+\.m4s,TypeError: Failed to fetch/;
const DOWN_MS = 1_000;
/** What is under way when an encoder dies breaks off, so that nobody takes it for whole. */
const TORN = /^net::ERR_(CONNECTION_RESET|INCOMPLETE_CHUNKED_ENCODING|CONNECTION_CLOSED)/;

/** Both players with both ways of addressing; `manifest.mpd` and `number.mpd` are one. */
const PAGES = {
  'dash.js, number': ['dash', 'manifest'],
  'dash.js, timeline': ['dash', 'timeline'],
  'Shaka Player, number': ['shaka', 'number'],
  'Shaka Player, timeline': ['shaka', 'timeline'],
};

/** Latency that an MPD asks players to keep, in seconds. */
async function target_s(origin, channel) {
  const text = await (await fetch(origin.mpd(channel))).text();
  return Number(text.match(/<Latency [^>]*target="(\d+)"/)[1]) / 1000;
}

const periods = async (origin, channel) => (
  [...(await (await fetch(origin.mpd(channel))).text()).matchAll(/<Period id="([^"]+)"/g)].map(([, id]) => id)
);

describe('low-latency DASH', { concurrency: 1 }, () => {
  const table = new Table(`DASH players, ${SECONDS} s each, all four of an encoder at once`);
  let origin;
  let browser;
  before(async () => { [origin, browser] = await Promise.all([Origin.start(), Browser.start()]); });
  after(async () => {
    table.print();
    await browser?.stop();
    await origin?.stop();
  });

  /** Opens all players and waits for their pictures. */
  async function open(channel) {
    const pages = await Promise.all(Object.entries(PAGES).map(async ([name, [player, document]]) => (
      [name, await browser.play(origin.mpd(channel, document), { player })]
    )));
    await until('pictures', START_MS_MAX, async () => {
      const reports = await Promise.all(pages.map(([, page]) => page.report()));
      return reports.every(({ first_ms }) => first_ms !== null);
    }).catch(async (error) => {
      const reports = await Promise.all(pages.map(async ([name, page]) => [name, await page.report()]));
      const blank = reports.filter(([, { first_ms }]) => first_ms === null);
      throw new Error(`${error.message}: ${JSON.stringify(blank)}`);
    });
    return pages;
  }

  async function shoot(pages, channel) {
    if (!SHOTS) return;
    mkdirSync(SHOTS, { recursive: true });
    for (const [name, page] of pages) {
      await page.screenshot({ path: join(SHOTS, `dash-${channel}-${name.replace(/\W+/g, '-')}.png`) });
    }
  }

  /** Plays in all players, and judges each. */
  async function plays(t, channel, wanted_s) {
    const target = await target_s(origin, channel);
    if (wanted_s) assert.ok(Math.abs(target - wanted_s) < 0.1, `the target of latency is ${target} s`);
    const pages = await open(channel);
    t.after(() => Promise.all(pages.map(([, page]) => page.context().close())));
    await sleep(SECONDS * 1000);
    const reports = await Promise.all(pages.map(async ([name, page]) => [name, await page.report()]));
    await shoot(pages, channel);
    for (const [name, report] of reports) table.add(`${channel}: ${name}`, report);
    const bad = reports.map(([name, report]) => {
      try {
        assertFlawless(report, { seconds: SECONDS, latency_s_max: target + OFF_S_MAX });
        const median_s = quantile(settled(report.latencies_s), 0.5);
        assert.ok(median_s > target - OFF_S_MAX, `the median latency is ${median_s} s, the target ${target} s`);
        return null;
      } catch (error) {
        return `${name}: ${error.message}`;
      }
    });
    assert.deepEqual(bad.filter(Boolean), [], 'every player plays without a flaw');
    return pages;
  }

  const ffmpeg = ffmpegs().at(-1);

  test(`ffmpeg ${ffmpeg.version}, one POST a track, and its restart`, async (t) => {
    const channel = 'endless';
    const start = () => push(ffmpeg, 'one POST a track', origin, channel);
    let encoder = start();
    t.after(() => encoder.stop('SIGKILL'));
    await origin.live(channel, 2);
    const pages = await plays(t, channel, 2);

    const [first] = await periods(origin, channel);
    await encoder.stop('SIGKILL');
    await sleep(DOWN_MS);
    const again_ms = Date.now();
    encoder = start();
    await until('second Period', 15_000, async () => (await periods(origin, channel)).length > 1);
    assert.equal((await periods(origin, channel))[0], first, 'the first Period stays');
    await Promise.all(pages.map(async ([name, page]) => {
      await until(`play of the second Period in ${name}`, 20_000, async () => {
        const { playing_ms, stillFor_ms } = await page.report();
        return playing_ms > again_ms && stillFor_ms < 300;
      });
      await page.evaluate(() => globalThis.thaw());
    }));
    await sleep(5_000);
    await shoot(pages, 'restart');
    for (const [name, page] of pages) {
      const { frozen_ms, playing_ms, errors, troubles } = await page.report();
      // Shaka Player counts a segment that broke off with its encoder as one, and goes on.
      const fatal = errors.filter((error) => error.fatal && !BROKE_OFF.test(error.text));
      assert.deepEqual(fatal, [], `${name}: no other error is fatal`);
      assert.deepEqual(troubles.filter((trouble) => !TORN.test(trouble)), [], `${name}: no request is refused`);
      assert.ok(frozen_ms < 2_000, `${name}: in the second Period it froze for ${frozen_ms} ms`);
      assert.ok(Date.now() - playing_ms < 10_000, `${name}: and it plays near live`);
    }
  });

  test(`ffmpeg ${ffmpeg.version}, low-latency DASH`, async (t) => {
    const encoder = push(ffmpeg, 'low-latency DASH', origin, 'dash');
    t.after(() => encoder.stop('SIGKILL'));
    await origin.live('dash', 2);
    await plays(t, 'dash', 2);
    assert.ok(encoder.isRunning, 'the encoder is content');
  });

  test('Shaka Packager', async (t) => {
    const path = packager();
    assert.ok(path, 'Shaka Packager is missing: tools/setup.sh installs it');
    const encoder = new PackagerPush(path, ffmpegs()[0], origin, 'shaka');
    t.after(() => encoder.stop());
    await origin.live('shaka', 2);
    await plays(t, 'shaka');
    assert.ok(encoder.isRunning, encoder.trouble('ended').message);
  });
});
