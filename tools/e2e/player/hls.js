// hls.js; `ll=no` turns its low-latency mode off, `debug` its log on.

import { script } from './script.js';

export async function play(video, wishes, complain) {
  await script('lib/hls.js');
  const { Hls } = globalThis;
  const hls = new Hls({
    lowLatencyMode: wishes.get('ll') !== 'no',
    // Catching up by rate is off by default: a player that starts late stays late.
    maxLiveSyncPlaybackRate: 1.1,
    debug: wishes.has('debug'),
  });
  let given_up = 0;
  hls.on(Hls.Events.ERROR, (_, { type, details, fatal, reason, error }) => {
    // It announces as an error the load of a header that it gives up itself
    // when it changes levels meanwhile (handleFragLoadError).
    if (details === Hls.ErrorDetails.INTERNAL_ABORTED && !fatal) given_up += 1;
    else complain({ details, fatal, text: `${type} ${details} ${reason ?? error?.message ?? ''}` });
  });
  hls.loadSource(wishes.get('src'));
  hls.attachMedia(video);
  return {
    hls,
    date_ms: () => hls.playingDate?.getTime() ?? null,
    /** What the player itself says. */
    own: () => ({ latency_s: hls.latency, target_s: hls.targetLatency, given_up }),
  };
}
