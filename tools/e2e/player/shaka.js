// Shaka Player, set up as its own low-latency guide says.

import { script } from './script.js';

export async function play(video, wishes, complain) {
  await script('lib/shaka.js');
  const { shaka } = globalThis;
  shaka.polyfill.installAll();
  const player = new shaka.Player();
  player.addEventListener('error', ({ detail }) => {
    complain({ details: detail.code, fatal: detail.severity === 2, text: `${detail.message} ${detail.data}` });
  });
  player.configure({ streaming: { lowLatencyMode: wishes.get('ll') !== 'no', liveSync: { enabled: true } } });
  const src = wishes.get('src');
  // Its defaults for low latency have this too, but come after an MPD was read: by
  // then a listed segment that is under way has moved the clock by its future.
  if (src.endsWith('.mpd')) player.configure({ manifest: { dash: { autoCorrectDrift: false } } });
  await player.attach(video);
  await player.load(src);
  return {
    shaka: player,
    date_ms: () => player.getPlayheadTimeAsDate()?.getTime() ?? null,
    /** What the player itself says. */
    own: () => {
      const { liveLatency, stallsDetected, gapsJumped } = player.getStats();
      return { latency_s: liveLatency, stalls: stallsDetected, jumps: gapsJumped };
    },
  };
}
