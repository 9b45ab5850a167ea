// An upload is killed in the midst of an mdat while viewers behind the shipped
// caches read the segment: nobody is told that it is whole, and neither cache
// keeps anything of it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';

import { Nginx, Varnish } from '../lib/edge.js';
import { ffmpegs } from '../lib/encoders.js';
import { get } from '../lib/http.js';
import { Origin } from '../lib/origin.js';
import { sleep, until } from '../lib/process.js';

const CHANNEL = 'torn';
const VIEWERS = 5;
const CACHES = { nginx: Nginx, Varnish };
const SOURCE = [
  '-hide_banner', '-nostdin', '-loglevel', 'error', '-re', '-f', 'lavfi', '-i', 'testsrc2=s=640x360:r=30',
  '-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-pix_fmt', 'yuv420p',
  '-g', '60', '-keyint_min', '60', '-sc_threshold', '0', '-b:v', '500k',
  '-f', 'mp4', '-movflags', 'cmaf+frag_keyframe', '-frag_duration', '250000', 'pipe:1',
];

/** Pushes what ffmpeg writes, box by box, and can be killed within one. */
class Encoder {
  constructor(url) {
    this.rest = Buffer.alloc(0);
    this.killed = new Promise((resolve) => { this.onKilled = resolve; });
    this.dying = false;
    this.request = http.request(url, { method: 'POST', agent: false });
    this.request.on('error', () => {});
    this.child = spawn(ffmpegs().at(-1).path, SOURCE, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.child.stdout.on('data', (data) => this.take(data));
  }

  take(data) {
    this.rest = Buffer.concat([this.rest, data]);
    while (this.rest.length >= 8 && this.rest.length >= this.rest.readUInt32BE(0)) {
      const length = this.rest.readUInt32BE(0);
      const box = this.rest.subarray(0, length);
      this.rest = this.rest.subarray(length);
      if (this.request.destroyed) return;
      if (this.dying && box.toString('latin1', 4, 8) === 'mdat') {
        this.request.write(box.subarray(0, length / 2), () => { this.stop(); this.onKilled(); });
        this.dying = false;
        return;
      }
      this.request.write(box);
    }
  }

  /** Half of the next mdat still goes out. */
  async kill() {
    this.dying = true;
    await this.killed;
  }

  stop() {
    this.child.kill('SIGKILL');
    this.request.destroy();
  }
}

/** A GET that is watched while it goes on. */
class Viewer {
  constructor(url) {
    this.bytes = 0;
    this.state = 'waiting';
    this.request = http.get(url, { agent: false }, (response) => {
      this.state = `under way with ${response.statusCode}`;
      response.on('data', (data) => { this.bytes += data.length; });
      response.on('error', () => {});
      response.on('close', () => { this.state = response.complete ? 'complete' : 'broken'; });
    });
    this.request.on('error', () => { this.state = 'broken'; });
  }

  leave() {
    this.request.destroy();
  }
}

for (const [name, Cache] of Object.entries(CACHES)) {
  describe(name, () => {
    let origin;
    let encoder;
    let cache;

    before(async () => {
      origin = await Origin.start();
      cache = await Cache.start(Number(new URL(origin.url).port));
      encoder = new Encoder(origin.ingest(CHANNEL, 'Streams(video.cmfv)'));
      await origin.live(CHANNEL, 1);
    });
    after(async () => {
      encoder?.stop();
      await cache?.stop();
      await origin?.stop();
    });

    test('T5: nobody takes the half of a segment for the whole, now or later', async () => {
      const target = await underWay(origin);
      const viewers = Array.from({ length: VIEWERS }, () => new Viewer(cache.url + target));
      await until('a first byte', 4_000, () => viewers.some(({ bytes }) => bytes > 0));
      await encoder.kill();
      await until('a broken response', 3_000, () => viewers.some(({ state }) => state === 'broken'));
      // A cache may ask again for those who waited; there is still no end.
      const later = new Viewer(cache.url + target);
      await sleep(1_500);
      const states = [...viewers, later].map(({ state }) => state);
      assert.ok(!states.includes('complete'), states.join(', '));
      [...viewers, later].forEach((viewer) => viewer.leave());

      // The encoder comes back with its clock at its beginning: the segment stays
      // as it is, and from now on it has an end.
      encoder = new Encoder(origin.ingest(CHANNEL, 'Streams(video.cmfv)'));
      const whole = await until('the end of the segment', 15_000, async () => {
        const answer = await get(origin.url + target, {}, 'HEAD');
        return answer.headers['content-length'] && get(origin.url + target);
      });
      const kept = await get(cache.url + target);
      assert.equal(kept.status, 200);
      assert.ok(kept.body.equals(whole.body), `${kept.body.length} bytes, not ${whole.body.length}`);
    });
  });
}

/** The segment under way. */
async function underWay(origin) {
  const { text } = await get(`${origin.url}/live/${CHANNEL}/video.m3u8`);
  const newest = text.split('\n').filter((line) => /-s\d+\.m4s$/.test(line) && !line.startsWith('#')).at(-1);
  const [, stem, msn] = newest.match(/^(.*-s)(\d+)\.m4s$/);
  return `/live/${CHANNEL}/${stem}${Number(msn) + 1}.m4s`;
}
