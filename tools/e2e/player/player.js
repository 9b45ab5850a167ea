// The player that the query names, and a record of how it plays.

const wishes = new URLSearchParams(location.search);
const video = document.getElementById('video');
const SAMPLE_MS = 100;
const SEEN_MS = 300;

const record = {
  errors: [],
  /** Wall clock less the date of the picture. */
  latencies_s: [],
  /** Times the element ran out of media after its first picture. */
  waits: 0,
  frozen_ms: 0,
  /** Every time the picture stood still for long enough to be seen. */
  freezes: [],
  first_ms: null,
  widths: [],
};
const still = { at_s: -1, since_ms: 0 };
let advanced_s = 0;

/** Keeps an error that the player itself speaks of. */
function complain({ details, fatal, text }) {
  const at_s = (performance.now() / 1000).toFixed(1);
  record.errors.push({ details, fatal, text: `${at_s} s: ${text}` });
}

const { play } = await import(`./${wishes.get('player') ?? 'hls'}.js`);
const player = await play(video, wishes, complain);

const latency_s = () => {
  const date_ms = player.date_ms();
  return date_ms === null ? NaN : (Date.now() - date_ms) / 1000;
};

video.addEventListener('waiting', () => {
  if (record.first_ms !== null && !video.seeking) record.waits += 1;
});
video.addEventListener('resize', () => record.widths.push(video.videoWidth));

// Timers are late on a busy machine, the picture is not: what moved on since
// the last look was not frozen.
setInterval(() => {
  const now_ms = performance.now();
  const moved_s = video.currentTime - still.at_s;
  const frozen_ms = now_ms - still.since_ms - Math.max(0, moved_s * 1000);
  if (moved_s !== 0) {
    if (record.first_ms !== null) {
      advanced_s += moved_s;
      if (frozen_ms > SEEN_MS) record.freezes.push({ at_s: (still.since_ms - record.first_ms) / 1000, ms: frozen_ms });
    }
    Object.assign(still, { at_s: video.currentTime, since_ms: now_ms });
    // Where a player will begin it may still change its mind before there is a frame.
    const shown = video.getVideoPlaybackQuality().totalVideoFrames > 0;
    if (shown && video.currentTime > 0 && !video.seeking && record.first_ms === null) {
      record.first_ms = now_ms;
      return;
    }
  }
  if (record.first_ms === null) return;
  record.frozen_ms = Math.max(record.frozen_ms, frozen_ms);
  record.latencies_s.push(latency_s());
}, SAMPLE_MS);

globalThis.report = () => {
  const { totalVideoFrames, droppedVideoFrames } = video.getVideoPlaybackQuality();
  return {
    ...record,
    played_s: record.first_ms === null ? 0 : (performance.now() - record.first_ms) / 1000,
    advanced_s,
    currentTime: video.currentTime,
    playing_ms: player.date_ms(),
    width: video.videoWidth,
    frames: totalVideoFrames,
    dropped: droppedVideoFrames,
    stillFor_ms: performance.now() - still.since_ms,
    own: player.own(),
  };
};

/** Starts the longest freeze anew, for a look at one stretch of time. */
globalThis.thaw = () => { record.frozen_ms = 0; };

globalThis.player = player;
