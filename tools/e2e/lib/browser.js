// Chromium, and players in it.

import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { createRequire } from 'node:module';

import { chromium } from 'playwright-core';

const CHROMIUM = process.env.CHROMIUM_BIN ?? '/usr/bin/chromium';
const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required', '--mute-audio',
];
const require = createRequire(import.meta.url);
const player = (file) => new URL(`../player/${file}`, import.meta.url);
const script = (file) => ['text/javascript; charset=utf-8', file];
const FILES = {
  '/': ['text/html; charset=utf-8', player('index.html')],
  ...Object.fromEntries(['player.js', 'script.js', 'hls.js', 'dash.js', 'shaka.js', 'videojs.js'].map(
    (file) => [`/${file}`, script(player(file))],
  )),
  '/lib/dash.js': script(require.resolve('dashjs')),
  '/lib/hls.js': script(require.resolve('hls.js/dist/hls.min.js')),
  '/lib/shaka.js': script(require.resolve('shaka-player')),
  '/lib/videojs.js': script(require.resolve('video.js/dist/video.min.js')),
};

/** A browser, and a server of the player page on an origin of its own. */
export class Browser {
  static async start() {
    const self = new Browser();
    self.server = http.createServer(async (request, response) => {
      const file = FILES[new URL(request.url, 'http://page.test').pathname];
      response.writeHead(file ? 200 : 204, { 'content-type': file?.[0] ?? 'text/plain' });
      response.end(file ? await readFile(file[1]) : undefined);
    });
    await new Promise((resolve) => self.server.listen(0, '127.0.0.1', resolve));
    self.url = `http://127.0.0.1:${self.server.address().port}/`;
    self.chromium = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: FLAGS });
    return self;
  }

  /** A page that remembers what went wrong in it. A context each keeps pools of connections apart. */
  async open(url, viewport = { width: 640, height: 400 }) {
    const context = await this.chromium.newContext({ viewport });
    const page = await context.newPage();
    page.troubles = [];
    page.on('pageerror', (error) => page.troubles.push(`script: ${error.message}`));
    page.on('response', (response) => {
      if (response.status() >= 400) page.troubles.push(`${response.status()} for ${response.url()}`);
    });
    page.on('requestfailed', (request) => {
      const { errorText } = request.failure();
      if (errorText !== 'net::ERR_ABORTED') page.troubles.push(`${errorText} for ${request.url()}`);
    });
    await page.goto(url);
    return page;
  }

  /**
   * Plays a playlist or an MPD, in hls.js unless `wishes` name another player;
   * `page.report()` says how it went so far.
   */
  async play(playlist, wishes = {}) {
    const page = await this.open(`${this.url}?${new URLSearchParams({ src: playlist, ...wishes })}`);
    page.report = async () => ({ ...await page.evaluate(() => globalThis.report()), troubles: page.troubles });
    return page;
  }

  async stop() {
    await this.chromium.close();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
