// video.js with the HLS engine that it brings, as it comes.

import { script } from './script.js';

export async function play(video, wishes, complain) {
  await script('lib/videojs.js');
  const { videojs } = globalThis;
  const player = videojs(video, { liveui: true });
  if (wishes.has('debug')) videojs.log.level('debug');
  player.on('error', () => {
    const { code, message } = player.error() ?? {};
    complain({ details: code, fatal: true, text: message });
  });
  player.src({ src: wishes.get('src'), type: 'application/vnd.apple.mpegurl' });
  const vhs = () => player.tech({ IWillNotUseThisInPlugins: true }).vhs;
  const date_ms = () => {
    let date = null;
    vhs()?.convertToProgramTime?.(player.currentTime(), (error, found) => {
      if (!error) date = Date.parse(found.programDateTime);
    });
    return date;
  };
  return {
    videojs: player,
    date_ms,
    /** What the player itself says. */
    own: () => {
      const { mediaRequestsErrored, mediaRequestsTimedout, mediaRequestsAborted } = vhs().stats;
      return { failed: mediaRequestsErrored, late: mediaRequestsTimedout, given_up: mediaRequestsAborted };
    },
  };
}
