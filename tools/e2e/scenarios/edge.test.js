// The shipped recipes in the real caches: three hundred players behind each cost
// the origin one request a part and playlist version, and see no error.

import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';

import { Counter, fleet, Nginx, perThing, Varnish } from '../lib/edge.js';
import { ffmpegs, push, PUSHES } from '../lib/encoders.js';
import { get } from '../lib/http.js';
import { Origin } from '../lib/origin.js';
import { sleep } from '../lib/process.js';

const SECONDS = Number(process.env.E2E_SECONDS ?? 40);
const PLAYERS = 300;
/** Players join over this time: a cache must stand those who come late. */
const RAMP_S = 10;
const WARM_UP_S = 5;
const CHANNEL = 'edge';
/** Requests of the origin for each part and playlist version, in the mean. */
const PER_THING_MAX = 1.1;
const CACHES = { nginx: Nginx, Varnish };

for (const [name, Cache] of Object.entries(CACHES)) {
  describe(name, () => {
    let origin;
    let encoder;
    let counter;
    let cache;
    const playlist = `/live/${CHANNEL}/video.m3u8`;

    before(async () => {
      origin = await Origin.start();
      counter = await Counter.start(origin.url);
      cache = await Cache.start(counter.port);
      const way = 'one POST a track';
      encoder = push(ffmpegs().at(-1), way, origin, CHANNEL);
      await origin.live(CHANNEL, PUSHES[way].playlists);
    });
    after(async () => {
      await encoder?.stop('SIGKILL');
      await cache?.stop();
      await counter?.stop();
      await origin?.stop();
    });

    test(`${PLAYERS} players cost one request a part`, async () => {
      const target = `/live/${CHANNEL}/index.m3u8`;
      const report = await fleet([
        cache.url + target, '--direct', origin.url + target, '--players', PLAYERS, '--seconds', SECONDS,
        '--ramp-ms', RAMP_S * 1000, '--warm-up-s', WARM_UP_S,
      ].map(String));
      const tally = counter.tally();
      const counts = ['version', 'part', 'media', 'playlist'].map((kind) => [kind, perThing(tally, kind)]);
      print(name, report, counts);

      assert.equal(report.errors, 0, JSON.stringify(report.kinds));
      assert.equal(report.players, PLAYERS);
      const { publication_unseen: unseen, publication_to_playlist_ms: { count } } = report;
      assert.ok(unseen < count / 100, `the probe missed ${unseen} of ${count} that the players saw`);
      // Reloads that are still held have no status.
      const refused = tally.filter(({ statuses }) => [...statuses].some((status) => ![200, null].includes(status)));
      assert.deepEqual(refused, [], 'the origin refused nothing');
      // Two tracks, half a second a part: both figures are seen to be of the whole run.
      const parts = 2 * SECONDS * 2;
      const { version, part, media, playlist: plain } = Object.fromEntries(counts);
      for (const [what, { things, mean, worst }] of Object.entries({ version, part })) {
        assert.ok(things >= parts * 0.9, `${things} ${what}s, where ${parts} were published`);
        assert.ok(mean <= PER_THING_MAX, `${mean} requests for each ${what}; ${worst.count} for ${worst.what}`);
      }
      assert.ok(media.mean <= PER_THING_MAX, `${media.mean} requests for each header and segment`);
      // Those who join, and each whose reload failed, ask for what is there now.
      const { count: most, what: mostAsked } = plain.worst;
      assert.ok(most <= RAMP_S + WARM_UP_S + SECONDS + 1, `${most} in as many seconds for ${mostAsked}`);
      const { requests } = report.kinds.part;
      assert.ok(requests >= parts * PLAYERS * 0.9, `the players fetched ${requests} parts`);
    });

    test('the key is path and directives in any order, and nothing else', async () => {
      const { first: msn } = await edge(origin.url + playlist);
      const before = counter.requests.length;
      const orders = [
        `?_HLS_msn=${msn}&_HLS_part=0`, `?_HLS_part=0&_HLS_msn=${msn}`,
        `?session=1&_HLS_msn=${msn}&_HLS_part=0`, `?_HLS_part=0&x=y&_HLS_msn=${msn}&utm=z`,
      ];
      const answers = [];
      for (const query of orders) answers.push(await get(cache.url + playlist + query, { 'accept-encoding': 'gzip' }));
      assert.deepEqual(answers.map(({ status }) => status), [200, 200, 200, 200]);
      assert.equal(new Set(answers.map(({ body }) => body.toString('base64'))).size, 1, 'one body');
      const asked = counter.requests.slice(before).map(({ url }) => url);
      assert.deepEqual(asked, [`${playlist}?_HLS_msn=${msn}&_HLS_part=0`]);
    });

    test('gzip and identity are two bodies of one text, whatever else a browser takes', async () => {
      const { first: msn } = await edge(origin.url + playlist);
      const url = `${cache.url}${playlist}?_HLS_msn=${msn}&_HLS_part=1`;
      const before = counter.requests.length;
      const packed = [];
      for (const takes of ['gzip, deflate, br', 'br, zstd, gzip', 'GZIP;q=0.5']) {
        packed.push(await get(url, { 'accept-encoding': takes, 'if-none-match': '"none"' }));
      }
      for (const { headers, body } of packed) {
        assert.equal(headers['content-encoding'], 'gzip');
        assert.match(headers.vary, /accept-encoding/i);
        assert.ok(body.equals(packed[0].body));
      }
      const plain = [];
      for (const takes of ['identity', 'br', 'gzip;q=0']) plain.push(await get(url, { 'accept-encoding': takes }));
      for (const { headers } of plain) assert.equal(headers['content-encoding'], undefined);
      assert.ok(counter.requests.length - before <= 2, 'one request for each body at most');
      assert.match(gunzipSync(packed[0].body).toString(), /^#EXTM3U/);
      assert.match(plain[0].text, /^#EXTM3U/);
    });

    test('ranges, ages, dates and methods', async () => {
      const { text } = await get(origin.url + playlist);
      const [, uri] = text.match(/#EXT-X-PART:.*URI="([^"]+)"/);
      const url = `${cache.url}/live/${CHANNEL}/${uri}`;
      const whole = await get(url, { cookie: 'a=b', authorization: 'Basic eDp5' });
      const date = Date.parse(whole.headers.date);
      await sleep(1_100);
      const piece = await get(url, { range: 'bytes=10-19' });
      assert.equal(piece.status, 206);
      assert.ok(piece.body.equals(whole.body.subarray(10, 20)));
      assert.ok(Number(piece.headers.age) >= 1, `Age: ${piece.headers.age}`);
      assert.equal(Date.parse(piece.headers.date), date, 'the Date is the origin\'s');
      assert.match(piece.headers['access-control-expose-headers'], /Age/);
      assert.equal((await get(url, {}, 'HEAD')).headers['content-length'], String(whole.body.length));
      assert.equal((await get(url, {}, 'OPTIONS')).status, 204);
      assert.ok((await get(url, {}, 'DELETE')).status >= 403);
      for (const path of ['/metrics', '/api/v1/channels', '/ingest/x/y', '/']) {
        assert.equal((await get(cache.url + path)).status, 404, path);
      }
    });

    test('a hinted part is held for all who ask for it, and fetched once', async () => {
      const { text } = await get(origin.url + playlist);
      const [, uri] = text.match(/#EXT-X-PRELOAD-HINT:TYPE=PART,URI="([^"]+)"/);
      const target = `/live/${CHANNEL}/${uri}`;
      const answers = await Promise.all(Array.from({ length: 50 }, () => get(cache.url + target)));
      assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
      assert.ok(answers.every(({ body }) => body.length > 0 && body.equals(answers[0].body)));
      assert.equal(counter.count(target), 1);
    });

    test('a viewer that leaves while it waits does not take the answer along', async () => {
      const next = await edge(origin.url + playlist);
      const target = `${playlist}?_HLS_msn=${next.msn + 1}&_HLS_part=1`;
      // The first to ask is the one whose request fetches.
      const leaver = http.get(cache.url + target, { agent: false }).on('error', () => {});
      await sleep(100);
      const others = Array.from({ length: 50 }, () => get(cache.url + target));
      await sleep(100);
      leaver.destroy();
      const answers = await Promise.all(others);
      assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
      assert.equal(counter.count(target), 1);
    });

    test('a herd that is refused together costs the origin a request or two', async () => {
      const { msn } = await edge(origin.url + playlist);
      const target = `${playlist}?_HLS_msn=${msn + 1_000_000}&_HLS_part=0`;
      const began = Date.now();
      const herd = await Promise.all(Array.from({ length: PLAYERS }, () => get(cache.url + target)));
      assert.deepEqual([...new Set(herd.map(({ status }) => status))], [400]);
      assert.ok(Date.now() - began < 3_000, `${Date.now() - began} ms: nobody queues behind the others`);
      assert.ok(counter.count(target) <= 2, `${counter.count(target)} requests`);
    });

    test('a herd that is held until the stall ends in 503 is answered by one request', async () => {
      // Last of all: the encoder goes.
      await encoder.stop('SIGKILL');
      const { msn } = await edge(origin.url + playlist);
      const target = `${playlist}?_HLS_msn=${msn + 1}&_HLS_part=0`;
      const began = Date.now();
      const herd = await Promise.all(Array.from({ length: PLAYERS }, () => get(cache.url + target)));
      const took_ms = Date.now() - began;
      assert.deepEqual([...new Set(herd.map(({ status }) => status))], [503]);
      assert.ok(took_ms < 9_000, `three target durations of 2 s at most, not ${took_ms} ms`);
      const asked = counter.count(target);
      assert.ok(asked <= 2, `${asked} requests`);
      // The refusal is gone as soon as it can be: the next one is the origin's to answer.
      await sleep(2_100);
      const again = get(cache.url + target);
      await sleep(500);
      assert.equal(counter.count(target), asked + 1);
      await again;
    });
  });
}

/** The first segment that a playlist lists, and the one under way. */
async function edge(url) {
  const { text } = await get(url);
  const first = Number(text.match(/MEDIA-SEQUENCE:(\d+)/)[1]);
  return { first, msn: first + text.match(/#EXTINF/g).length };
}

function print(name, report, counts) {
  const line = (what, { p50, p95, p99, max }) => `  ${what.padEnd(44)}`
    + [p50, p95, p99, max].map((ms) => String(Math.round(ms)).padStart(7)).join('');
  console.log([
    `\n${PLAYERS} players behind ${name}, ${SECONDS} s: ${report.requests} requests, `
    + `${(report.bytes / 1e6).toFixed(0)} MB, ${report.errors} errors, ${report.late} late`,
    `  ${'ms'.padEnd(44)}    p50    p95    p99    max`,
    line('added by the cache, origin to playlist', report.publication_to_playlist_ms),
    line('from publication to a part\'s last byte', report.publication_to_last_byte_ms),
    ...counts.map(([kind, { things, requests, mean, worst }]) => `  the origin's requests for each ${kind.padEnd(8)} `
      + `${mean.toFixed(3)} (${requests} for ${things}; worst ${worst.count}: ${worst.what})`),
    '',
  ].join('\n'));
}
