// The conformance checker beside every encoder, and over an encoder's restart.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { assertConforms, check, warnings } from '../lib/checker.js';
import { ffmpegs, packager, PackagerPush, push, pushLanguages } from '../lib/encoders.js';
import { BINARY, Origin } from '../lib/origin.js';
import { freePort, Process, sleep, until } from '../lib/process.js';
import { SubtitlePush } from '../lib/subtitles.js';

const SECONDS = Number(process.env.E2E_SECONDS ?? 60);
/** Channels that share the machine at once. */
const AT_ONCE = Number(process.env.E2E_AT_ONCE ?? 2);
const DOWN_MS = 1_000;

/** A generated tone has no language, and none is made up. */
const NO_LANGUAGE = { rule: 'C40', what: 'a rendition has no LANGUAGE' };
/** Parts are published as they come: what an encoder or a busy machine holds back is late. */
const LATE = { rule: 'C31', what: 'parts are further apart than the part target and half a second' };
/** The packager reads blocks of 64 KiB, about a second; a busy machine encodes no faster. */
const DRY = { rule: 'C31', what: 'parts are further apart than PART-HOLD-BACK' };
/** A part that is long overdue is given up, so that no player waits for it in vain. */
const OVERDUE = { rule: 'C19', what: 'an overdue hint was given up' };
/** Tracks are pushed apart, one may be buffered for longer than the other, and text comes in whole segments. */
const APART = { rule: 'C32', what: 'a rendition is more than a part behind another for half a second' };
/** Rates are measured as the channel grows; the first segments are all there is. */
const YOUNG = { rule: 'C40', what: 'the measured' };
/** Nobody knows of a new header before it is pushed. */
const NEW_HEADER = { rule: 'C7', what: 'a new header came without a hint of TYPE=MAP' };
/** A hint is a forecast that a break of the source may prove wrong. */
const OTHER_PART = { rule: 'C7', what: 'another part came than was hinted' };
/** An encoder that is gone sends nothing. */
const BREAK = { rule: 'C31', what: 'a break of the source kept' };

/** Media is late on the grid of an MPD for the same reasons; these are logged and not judged. */
const PACE_OF_MPDS = ['D8', 'D9', 'D11', 'D12', 'D13', 'D21'].map((rule) => ({ rule, what: '' }));

/** What comes of the pace at which media is pushed. */
const PACE = [LATE, DRY, OVERDUE, APART];

describe('headwater-check', { concurrency: AT_ONCE }, () => {
  const log = [];
  let origin;
  before(async () => { origin = await Origin.start(); });
  after(async () => {
    console.log(['', `headwater-check, ${SECONDS} s each, ${AT_ONCE} at once`, ...log, ''].join('\n'));
    await origin?.stop();
  });

  async function conforms(name, playlist, explained) {
    const report = await check(playlist, SECONDS);
    log.push(warnings(name, report));
    assertConforms(report, explained);
    return report;
  }

  const ffmpeg = ffmpegs().at(-1);
  for (const [channel, way] of [['endless', 'one POST a track'], ['dash', 'low-latency DASH']]) {
    test(`ffmpeg ${ffmpeg.version}, ${way}`, async (t) => {
      const encoder = push(ffmpeg, way, origin, channel);
      t.after(() => encoder.stop('SIGKILL'));
      await origin.live(channel, 2);
      await conforms(way, origin.playlist(channel), [...PACE, NO_LANGUAGE, YOUNG]);
      assert.ok(encoder.isRunning, 'the encoder is content');
    });
  }

  // Beside each other, as players of both kinds are: the two watch one channel.
  test(`ffmpeg ${ffmpeg.version}, MPDs by number and by timeline`, async (t) => {
    const encoder = push(ffmpeg, 'one POST a track', origin, 'mpd');
    t.after(() => encoder.stop('SIGKILL'));
    await origin.live('mpd', 2);
    await Promise.all(['number', 'timeline'].map((document) => (
      conforms(`${document}.mpd`, origin.mpd('mpd', document), PACE_OF_MPDS)
    )));
    assert.ok(encoder.isRunning, 'the encoder is content');
  });

  test('Shaka Packager', async (t) => {
    const path = packager();
    assert.ok(path, 'Shaka Packager is missing: tools/setup.sh installs it');
    const encoder = new PackagerPush(path, ffmpegs()[0], origin, 'shaka');
    t.after(() => encoder.stop());
    await origin.live('shaka', 2);
    await conforms('Shaka Packager', origin.playlist('shaka'), [...PACE, NO_LANGUAGE, YOUNG]);
  });

  test('the ladder of the demo', async (t) => {
    const port = await freePort();
    const demo = new Process('demo', BINARY, ['demo', '--listen', `127.0.0.1:${port}`]);
    t.after(() => demo.stop());
    const playlist = `http://127.0.0.1:${port}/live/demo/index.m3u8`;
    await until('demo', 20_000, async () => (await (await fetch(playlist)).text()).split('.m3u8').length > 5);
    const report = await conforms('demo', playlist, [...PACE, NO_LANGUAGE, YOUNG]);
    // Two of video with their lists of I-frames, and one of sound.
    assert.equal(report.renditions.length, 5);
  });

  test('a ladder of three with two languages and subtitles', async (t) => {
    const encoder = pushLanguages(ffmpeg, origin, 'languages', ['eng', 'deu']);
    const subtitles = new SubtitlePush(origin, 'languages', 'eng');
    t.after(() => Promise.all([encoder.stop('SIGKILL'), subtitles.stop()]));
    // Three of video with their lists of I-frames, two of sound and one of text.
    await origin.live('languages', 9);
    const report = await conforms('languages', origin.playlist('languages'), [...PACE, YOUNG]);
    assert.equal(report.renditions.length, 9);
    assert.ok(encoder.isRunning, 'the encoder is content');
    assert.equal(subtitles.trouble, null, 'every segment of text was taken');
  });

  test('an encoder that is killed and comes back', async (t) => {
    let encoder = push(ffmpeg, 'one POST a track', origin, 'shaken');
    t.after(() => encoder.stop('SIGKILL'));
    await origin.live('shaken', 2);
    const restart = async () => {
      await sleep(SECONDS * 333);
      await encoder.stop('SIGKILL');
      await sleep(DOWN_MS);
      encoder = push(ffmpeg, 'one POST a track', origin, 'shaken');
    };
    const explained = [...PACE, NO_LANGUAGE, YOUNG, NEW_HEADER, OTHER_PART, BREAK];
    await Promise.all([conforms('restart', origin.playlist('shaken'), explained), restart()]);
  });

  test('what is no playlist cannot be checked', async () => {
    await assert.rejects(check(`${origin.url}/healthz`, 1), /no playlist/);
    await assert.rejects(check(`${origin.url}/live/nobody/index.m3u8`, 1), /status 404/);
  });
});
