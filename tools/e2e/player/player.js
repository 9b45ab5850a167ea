// hls.js in low-latency mode, and a record of how it plays.

const video = document.getElementById('video');
const wishes = new URLSearchParams(location.search);
// Catching up by rate is off by default: a player that starts late stays late.
const hls = new globalThis.Hls({ lowLatencyMode: true, maxLiveSyncPlaybackRate: 1.1, debug: wishes.has('debug') });
const SAMPLE_MS = 100;

const record = {
  errors: [],
  latencies_s: [],
  frozen_ms: 0,
  first_ms: null,
};
const still = { at_s: -1, since_ms: 0 };

hls.on(globalThis.Hls.Events.ERROR, (_, { type, details, fatal, reason, error }) => {
  const at_s = (performance.now() / 1000).toFixed(1);
  record.errors.push({ details, fatal, text: `${at_s} s: ${type} ${details} ${reason ?? error?.message ?? ''}` });
});

setInterval(() => {
  const now_ms = performance.now();
  if (video.currentTime !== still.at_s) {
    Object.assign(still, { at_s: video.currentTime, since_ms: now_ms });
    if (video.currentTime > 0 && !video.seeking) record.first_ms ??= now_ms;
  }
  if (record.first_ms === null) return;
  record.frozen_ms = Math.max(record.frozen_ms, now_ms - still.since_ms);
  record.latencies_s.push(hls.latency);
}, SAMPLE_MS);

globalThis.report = () => ({
  ...record,
  played_s: record.first_ms === null ? 0 : (performance.now() - record.first_ms) / 1000,
  currentTime: video.currentTime,
  playing_ms: hls.playingDate?.getTime() ?? null,
  width: video.videoWidth,
  frames: video.getVideoPlaybackQuality().totalVideoFrames,
  dropped: video.getVideoPlaybackQuality().droppedVideoFrames,
  target_s: hls.targetLatency,
  stillFor_ms: performance.now() - still.since_ms,
});

/** Starts the longest freeze anew, for a look at one stretch of time. */
globalThis.thaw = () => { record.frozen_ms = 0; };

hls.loadSource(wishes.get('src'));
hls.attachMedia(video);
