// The binary under test.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { freePort, Process, sleep, until } from './process.js';

const SETTLE_MS = 6_000;
const root = fileURLToPath(new URL('../../..', import.meta.url));
export const BINARY = process.env.HEADWATER_BIN ?? `${root}target/release/headwater`;

if (!existsSync(BINARY)) throw new Error(`${BINARY} is missing: cargo build --release, or set HEADWATER_BIN`);

/** `headwater serve` on a port of its own. */
export class Origin {
  static async start() {
    const port = await freePort();
    const origin = new Origin();
    origin.url = `http://127.0.0.1:${port}`;
    origin.process = new Process('headwater', BINARY, ['serve', '--listen', `127.0.0.1:${port}`]);
    await until('origin', 10_000, async () => {
      if (!origin.process.isRunning) throw origin.process.trouble('ended');
      return (await fetch(`${origin.url}/healthz`)).ok;
    });
    return origin;
  }

  ingest(channel, name) {
    return `${this.url}/ingest/${channel}/${name}`;
  }

  playlist(channel) {
    return `${this.url}/live/${channel}/index.m3u8`;
  }

  mpd(channel, name = 'manifest') {
    return `${this.url}/live/${channel}/${name}.mpd`;
  }

  /** Waits until players can join a channel with so many media playlists. */
  async live(channel, playlists, limit_ms = 20_000) {
    await until(`channel ${channel}`, limit_ms, async () => {
      const response = await fetch(this.playlist(channel));
      const text = response.ok ? await response.text() : '';
      return (text.match(/\.m3u8/g) ?? []).length >= playlists;
    });
    // A channel of one segment is no place to judge steady playing from: let
    // the playlists fill, and the encoder's start be over.
    await sleep(SETTLE_MS);
  }

  async stop() {
    const wasRunning = this.process.isRunning;
    await this.process.stop();
    if (!wasRunning) throw this.process.trouble('was gone before its time');
  }
}
