// The status page: channels, the player and its numbers.

import { ServerClock } from './clock.js';
import { Graph } from './graph.js';
import { Player } from './player.js';

const POLL_MS = { idle: 500, playing: 2_000 };
const SHOW_MS = 250;

const at = (id) => document.getElementById(id);
const video = at('video');
const clock = new ServerClock(new URL('time', location.href));
const player = new Player(video, clock);
const graph = new Graph(at('graph'));

let current = null;
let channels = [];

const playlistOf = (name) => new URL(`live/${encodeURIComponent(name)}/index.m3u8`, location.href.split('?')[0]).href;

const isPlayable = ({ state }) => state === 'live' || state === 'stalled';

function play(name) {
  current = name;
  const url = playlistOf(name);
  at('links').hidden = false;
  at('hls-url').value = url;
  document.title = `${name} – headwater`;
  if (Player.isSupported) {
    player.load(url);
  } else {
    video.src = url;
    video.play().catch((error) => player.note(error));
  }
  list();
}

function choose(name) {
  const address = new URL(location.href);
  address.searchParams.set('channel', name);
  history.replaceState(null, '', address);
  play(name);
}

async function poll() {
  const server = at('server');
  try {
    const response = await fetch('api/v1/channels', { cache: 'no-store' });
    if (!response.ok) throw new Error(`${response.status}`);
    ({ channels } = await response.json());
    const live = channels.filter(isPlayable).length;
    server.textContent = `${live} live, ${channels.length} in all`;
    server.classList.remove('lost');
  } catch {
    server.textContent = 'The origin does not answer';
    server.classList.add('lost');
  }
  list();
  follow();
  setTimeout(poll, current === null ? POLL_MS.idle : POLL_MS.playing);
}

/** Starts what was asked for, or the first live channel; starts again after an end. */
function follow() {
  const wanted = current ?? new URL(location.href).searchParams.get('channel');
  const channel = channels.find(({ name }) => name === wanted) ?? (wanted ? null : channels.find(isPlayable));
  if (!channel || !isPlayable(channel)) return;
  if (current === null || (player.state === 'ended' && channel.state === 'live')) play(channel.name);
}

function trackLine({ name, codec, average_bps: bps }) {
  const rate = bps ? `, ${bps >= 1e6 ? `${(bps / 1e6).toFixed(1)} Mbit/s` : `${Math.round(bps / 1e3)} kbit/s`}` : '';
  return `${name} (${codec}${rate})`;
}

function list() {
  const items = at('channels');
  at('no-channels').hidden = channels.length > 0;
  const known = new Map([...items.children].map((item) => [item.dataset.name, item]));
  for (const channel of channels) {
    const item = known.get(channel.name) ?? itemOf(channel.name);
    known.delete(channel.name);
    const button = item.firstElementChild;
    const [lamp, , word, tracks] = button.children;
    lamp.dataset.state = channel.state;
    word.textContent = channel.state;
    tracks.textContent = channel.tracks.map(trackLine).join(' · ');
    button.setAttribute('aria-current', String(channel.name === current));
    if (!item.isConnected) items.append(item);
  }
  for (const item of known.values()) item.remove();
}

function itemOf(name) {
  const item = document.createElement('li');
  const button = document.createElement('button');
  item.dataset.name = name;
  button.type = 'button';
  for (const part of ['lamp', 'name', 'word', 'tracks']) {
    const span = document.createElement('span');
    span.className = part;
    if (part === 'name') span.textContent = name;
    button.append(span);
  }
  button.addEventListener('click', () => choose(name));
  item.append(button);
  return item;
}

const VEILS = {
  joining: 'Joining…',
  stalled: 'Waiting for media…',
  ended: 'The channel has ended.',
};

function show() {
  const behind_s = player.state === 'playing' || player.state === 'stalled' ? player.latency : null;
  graph.add(behind_s);
  at('latency').textContent = behind_s === null ? '–' : behind_s.toFixed(2);
  at('buffer').textContent = player.session?.started ? player.buffer.toFixed(2) : '–';
  at('stalls').textContent = player.stalls;
  const quality = video.getVideoPlaybackQuality?.();
  at('dropped').textContent = quality ? `${quality.droppedVideoFrames}` : '–';
  at('state').textContent = video.paused && player.session?.started ? 'paused' : player.state;
  const rendition = player.rendition;
  const lines = video.videoHeight || rendition?.height;
  at('rendition').textContent = !rendition ? '–' : lines ? `${lines}p` : 'audio';
  const veil = current === null ? 'Waiting for a channel' : (VEILS[player.state] ?? '');
  if (at('veil').textContent !== veil) at('veil').textContent = veil;
  at('unmute').hidden = !video.muted || player.state !== 'playing';
  offer();
}

/** Keeps the list of renditions in step with the channel. */
function offer() {
  const select = at('quality');
  const heights = [...new Set(player.renditions.map(({ height }) => height).filter(Boolean))];
  const offered = [...select.options].slice(1).map(({ value }) => Number(value));
  if (heights.join() === offered.join() || !heights.length) return;
  while (select.options.length > 1) select.remove(1);
  for (const height of heights) select.add(new Option(`${height}p`, height));
  select.value = heights.includes(player.manual) ? String(player.manual) : 'auto';
}

function setMuted(muted) {
  video.muted = muted;
  if (!muted && video.volume === 0) video.volume = 1;
}

function controls() {
  at('unmute').addEventListener('click', () => setMuted(false));
  at('mute').addEventListener('click', () => setMuted(!video.muted));
  at('volume').addEventListener('input', (event) => {
    video.volume = Number(event.target.value);
    video.muted = video.volume === 0;
  });
  at('live').addEventListener('click', () => player.goLive());
  at('quality').addEventListener('change', (event) => {
    player.choose(event.target.value === 'auto' ? null : Number(event.target.value));
  });
  at('play').addEventListener('click', () => {
    if (video.paused) player.goLive();
    else video.pause();
  });
  at('full').addEventListener('click', () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (at('screen').requestFullscreen) at('screen').requestFullscreen();
    else video.webkitEnterFullscreen?.();
  });
  for (const event of ['play', 'pause', 'volumechange']) video.addEventListener(event, reflect);
  for (const button of document.querySelectorAll('[data-copies]')) {
    button.addEventListener('click', () => copy(at(button.dataset.copies), button));
  }
}

function reflect() {
  at('play').textContent = video.paused ? 'Play' : 'Pause';
  at('mute').textContent = video.muted ? 'Unmute' : 'Mute';
  at('mute').setAttribute('aria-pressed', String(video.muted));
  at('volume').value = video.muted ? 0 : video.volume;
}

async function copy(field, button) {
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
  } catch {
    // Without a secure context there is no clipboard interface but this.
    document.execCommand('copy');
  }
  at('said').textContent = 'Copied';
  button.textContent = 'Copied';
  setTimeout(() => { button.textContent = 'Copy'; }, 1_500);
}

function pushLine() {
  const base = new URL('ingest/test', location.href.split('?')[0]).href;
  return [
    'ffmpeg -re -f lavfi -i testsrc2=s=1280x720:r=30 \\',
    '  -re -f lavfi -i sine=f=440:r=48000 \\',
    '  -map 0:v -c:v libx264 -preset veryfast -tune zerolatency \\',
    '  -pix_fmt yuv420p -b:v 2M -g 60 -sc_threshold 0 \\',
    '  -f mp4 -movflags cmaf+frag_keyframe -frag_duration 500000 \\',
    `  -method POST '${base}/Streams(video.cmfv)' \\`,
    '  -map 1:a -c:a aac -b:a 96k -ac 2 \\',
    '  -f mp4 -movflags cmaf+frag_keyframe -frag_duration 500000 \\',
    `  -method POST '${base}/Streams(audio.cmfa)'`,
  ].join('\n');
}

/** What tests and the curious read. */
globalThis.headwater = {
  get channel() { return current; },
  get state() { return player.state; },
  get latency() { return player.latency; },
  get stalls() { return player.stalls; },
  get errors() { return [...player.errors]; },
  get joins() { return player.joins; },
  get currentTime() { return video.currentTime; },
  get buffer() { return player.buffer; },
  get target() { return player.session?.started ? player.session.target_s : null; },
  get rate() { return video.playbackRate; },
  get rendition() { return player.rendition; },
  get frames() { return video.getVideoPlaybackQuality?.().totalVideoFrames ?? null; },
  get dropped() { return video.getVideoPlaybackQuality?.().droppedVideoFrames ?? null; },
  get tracks() { return player.session?.tracks.map((track) => track.report) ?? []; },
  choose: (height) => player.choose(height),
};

at('push-line').value = pushLine();
video.muted = true;
controls();
reflect();
setInterval(show, SHOW_MS);
show();
poll();
