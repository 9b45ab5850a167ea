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
  // The dates of parts are not public, the start of the segment they are in is.
  const date_ms = () => {
    const now_s = player.currentTime();
    const segment = vhs()?.playlists.media()?.segments.findLast(({ start }) => start <= now_s);
    const { dateTimeObject, start } = segment ?? {};
    return dateTimeObject ? dateTimeObject.getTime() + (now_s - start) * 1000 : null;
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
