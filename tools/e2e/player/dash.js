// dash.js as it comes: what to do at the live edge it takes from the MPD.

import { script } from './script.js';

export async function play(video, wishes, complain) {
  await script('lib/dash.js');
  const { dashjs } = globalThis;
  const player = dashjs.MediaPlayer().create();
  if (wishes.has('debug')) player.updateSettings({ debug: { logLevel: dashjs.Debug.LOG_LEVEL_DEBUG } });
  player.on(dashjs.MediaPlayer.events.ERROR, ({ error }) => {
    complain({ details: error.code, fatal: true, text: error.message });
  });
  let stalls = 0;
  player.on(dashjs.MediaPlayer.events.PLAYBACK_STALLED, () => { stalls += 1; });
  const periods = [];
  player.on(dashjs.MediaPlayer.events.PERIOD_SWITCH_COMPLETED, ({ toStreamInfo }) => periods.push(toStreamInfo.id));
  player.initialize(video, wishes.get('src'), true);
  return {
    dashjs: player,
    date_ms: () => {
      const latency_s = player.isReady() ? player.getCurrentLiveLatency() : NaN;
      return Number.isFinite(latency_s) && latency_s > 0 ? Date.now() - latency_s * 1000 : null;
    },
    /** What the player itself says. */
    own: () => ({ latency_s: player.getCurrentLiveLatency(), target_s: player.getTargetLiveDelay(), stalls, periods }),
  };
}
