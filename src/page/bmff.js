// The little of ISO BMFF that placing media on a timeline needs.

function* boxes(view, at, end) {
  while (at + 8 <= end) {
    const size = view.getUint32(at);
    const kind = String.fromCharCode(...new Uint8Array(view.buffer, view.byteOffset + at + 4, 4));
    if (size < 8 || at + size > end) return;
    yield { kind, start: at + 8, end: at + size };
    at += size;
  }
}

function find(view, path, at = 0, end = view.byteLength) {
  for (const box of boxes(view, at, end)) {
    if (box.kind !== path[0]) continue;
    return path.length === 1 ? box : find(view, path.slice(1), box.start, box.end);
  }
  return null;
}

function number64(view, at) {
  return view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
}

/** Ticks a second of the first track of a CMAF header. */
export function timescale(bytes) {
  const view = new DataView(bytes);
  const box = find(view, ['moov', 'trak', 'mdia', 'mdhd']);
  if (!box) throw new Error('a header without mdhd');
  return view.getUint32(box.start + (view.getUint8(box.start) === 1 ? 20 : 12));
}

/** Decode time of the first chunk in a part or segment, in ticks. */
export function decodeTime(bytes) {
  const view = new DataView(bytes);
  const box = find(view, ['moof', 'traf', 'tfdt']);
  if (!box) throw new Error('media without tfdt');
  return view.getUint8(box.start) === 1 ? number64(view, box.start + 4) : view.getUint32(box.start + 4);
}
