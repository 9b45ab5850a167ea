// HLS playlists to plain objects. Pure: no network, no clock, no page.

/** Attribute list of a tag: `A=1,B="x,y"` to an object of strings. */
export function attributes(text) {
  const found = {};
  for (const [, name, quoted, bare] of text.matchAll(/([A-Z0-9-]+)=(?:"([^"]*)"|([^,]*))/g)) {
    found[name] = quoted ?? bare;
  }
  return found;
}

function* lines(text) {
  if (!text.startsWith('#EXTM3U')) throw new Error('not a playlist');
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('#EXT')) {
      const colon = line.indexOf(':');
      yield colon < 0 ? { tag: line, value: '' } : { tag: line.slice(0, colon), value: line.slice(colon + 1) };
    } else if (line && !line.startsWith('#')) {
      yield { uri: line };
    }
  }
}

/** A multivariant playlist: variants by falling bandwidth, and audio renditions. */
export function parseMultivariant(text, base) {
  const variants = [];
  const audio = [];
  let next = null;
  for (const { tag, value, uri } of lines(text)) {
    if (uri !== undefined) {
      if (next) variants.push({ ...next, url: new URL(uri, base).href });
      next = null;
    } else if (tag === '#EXT-X-STREAM-INF') {
      const found = attributes(value);
      const [width, height] = (found.RESOLUTION ?? '0x0').split('x').map(Number);
      const codecs = (found.CODECS ?? '').split(',').map((codec) => codec.trim()).filter(Boolean);
      next = { bandwidth: Number(found.BANDWIDTH), codecs, width, height, audio: found.AUDIO ?? null };
    } else if (tag === '#EXT-X-MEDIA') {
      const found = attributes(value);
      if (found.TYPE !== 'AUDIO' || !found.URI) continue;
      audio.push({
        group: found['GROUP-ID'],
        name: found.NAME,
        isDefault: found.DEFAULT === 'YES',
        url: new URL(found.URI, base).href,
      });
    }
  }
  variants.sort((a, b) => b.bandwidth - a.bandwidth);
  return { variants, audio };
}

/**
 * A media playlist. Each segment has `msn`, `discontinuity` (its number),
 * `wall_ms` (program date-time or null), `duration` in seconds, `map` (URL of
 * its header), `gap`, `uri` (null while it is open) and `parts`.
 *
 * `previous` is what a delta update is completed from; a delta that can't be
 * completed gives null.
 */
export function parseMedia(text, base, previous = null) {
  const list = {
    target_s: 0, part_target_s: null, hold_back_s: null, part_hold_back_s: null,
    can_block: false, can_skip: false, ended: false, segments: [],
  };
  const state = { msn: 0, discontinuity: 0, wall_ms: null, map: null };
  let segment = null;
  const open = () => {
    segment ??= {
      msn: state.msn, discontinuity: state.discontinuity, wall_ms: state.wall_ms, map: state.map,
      duration: 0, gap: false, uri: null, parts: [],
    };
    return segment;
  };
  for (const { tag, value, uri } of lines(text)) {
    if (uri !== undefined) {
      const whole = open();
      whole.uri = new URL(uri, base).href;
      close(list, state, whole);
      segment = null;
      continue;
    }
    switch (tag) {
      case '#EXT-X-TARGETDURATION': list.target_s = Number(value); break;
      case '#EXT-X-PART-INF': list.part_target_s = Number(attributes(value)['PART-TARGET']); break;
      case '#EXT-X-SERVER-CONTROL': serverControl(list, attributes(value)); break;
      case '#EXT-X-MEDIA-SEQUENCE': state.msn = Number(value); break;
      case '#EXT-X-DISCONTINUITY-SEQUENCE': state.discontinuity = Number(value); break;
      case '#EXT-X-ENDLIST': list.ended = true; break;
      case '#EXT-X-MAP': state.map = new URL(attributes(value).URI, base).href; break;
      case '#EXT-X-PROGRAM-DATE-TIME': state.wall_ms = Date.parse(value); break;
      case '#EXT-X-DISCONTINUITY': state.discontinuity += 1; state.wall_ms = null; break;
      case '#EXT-X-GAP': open().gap = true; break;
      case '#EXTINF': open().duration = parseFloat(value); break;
      case '#EXT-X-PART': open().parts.push(part(attributes(value), base)); break;
      case '#EXT-X-SKIP':
        if (!skip(list, state, Number(attributes(value)['SKIPPED-SEGMENTS']), previous)) return null;
        break;
      default:
    }
  }
  if (segment) {
    segment.duration = segment.parts.reduce((sum, { duration }) => sum + duration, 0);
    list.segments.push(segment);
  }
  return list;
}

function close(list, state, segment) {
  list.segments.push(segment);
  state.msn += 1;
  if (segment.wall_ms !== null) state.wall_ms = segment.wall_ms + segment.duration * 1000;
}

function part(found, base) {
  return {
    uri: new URL(found.URI, base).href,
    duration: Number(found.DURATION),
    independent: found.INDEPENDENT === 'YES',
    gap: found.GAP === 'YES',
  };
}

function serverControl(list, found) {
  list.can_block = found['CAN-BLOCK-RELOAD'] === 'YES';
  list.can_skip = 'CAN-SKIP-UNTIL' in found;
  list.hold_back_s = 'HOLD-BACK' in found ? Number(found['HOLD-BACK']) : null;
  list.part_hold_back_s = 'PART-HOLD-BACK' in found ? Number(found['PART-HOLD-BACK']) : null;
}

function skip(list, state, count, previous) {
  const from = previous?.segments.findIndex(({ msn }) => msn === state.msn) ?? -1;
  const kept = from < 0 ? [] : previous.segments.slice(from, from + count);
  if (kept.length !== count || kept.some(({ uri }) => uri === null)) return false;
  for (const segment of kept) {
    list.segments.push(segment);
    Object.assign(state, { discontinuity: segment.discontinuity, map: segment.map, wall_ms: segment.wall_ms });
    state.msn += 1;
    if (segment.wall_ms !== null) state.wall_ms += segment.duration * 1000;
  }
  return true;
}

/** Wall clock of the end of the newest part or segment, or null. */
export function edge_ms(list) {
  const last = list.segments.at(-1);
  return last && last.wall_ms !== null ? last.wall_ms + last.duration * 1000 : null;
}

/** How far behind the edge playback should be, in seconds. */
export function holdBack_s(list) {
  if (list.part_target_s && list.part_hold_back_s) return list.part_hold_back_s;
  return list.hold_back_s ?? 3 * list.target_s;
}
