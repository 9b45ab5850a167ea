"""Cuts one track of a fragmented MP4 into CMAF: a header and even chunks.

Takes every sample out of IN, drops the first --skip, keeps --frames, and writes
OUT as ftyp and moov followed by moof and mdat of --chunk samples each, with
decode times from zero. Edit lists and user data are left out of the header.
"""

import argparse
import struct

SYNC = 0x02000000
NON_SYNC = 0x01010000
CONTAINERS = {b"moov", b"trak", b"mdia", b"mvex", b"moof", b"traf"}
DROPPED = {b"edts", b"udta"}


def boxes(data, at=0, end=None):
    """Yields (type, payload start, end) of the boxes in data[at:end]."""
    end = len(data) if end is None else end
    while at < end:
        size, kind = struct.unpack_from(">I4s", data, at)
        assert 8 <= size <= end - at, f"{kind} at {at} has size {size}"
        yield kind, at + 8, at + size
        at += size


def find(data, path, at=0, end=None):
    """The payload range of the first box at the path."""
    for kind, start, stop in boxes(data, at, end):
        if kind == path[0]:
            return (start, stop) if len(path) == 1 else find(data, path[1:], start, stop)
    raise LookupError(path)


def box(kind, *payload):
    body = b"".join(payload)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full(kind, version, flags, *payload):
    return box(kind, struct.pack(">I", version << 24 | flags), *payload)


def header(data):
    """The ftyp and moov of data as a CMAF header."""

    def copy(start, stop):
        out = b""
        for kind, begin, end in boxes(data, start, stop):
            if kind in DROPPED:
                continue
            out += box(kind, copy(begin, end) if kind in CONTAINERS else data[begin:end])
        return out

    ftyp = box(b"ftyp", b"cmfc", struct.pack(">I", 0), b"cmfc", b"iso6", b"mp41")
    start, stop = find(data, [b"moov"])
    return ftyp + box(b"moov", copy(start, stop))


def samples(data):
    """Yields (duration, is sync, bytes) of every sample, one a fragment."""
    moof = None
    for kind, start, stop in boxes(data):
        if kind == b"moof":
            moof = (start, stop)
        elif kind == b"mdat":
            yield (*sample_fields(data, *moof), data[start:stop])


def sample_fields(data, start, stop):
    """Duration and sync flag of the one sample of a moof."""
    at, _ = find(data, [b"traf", b"tfhd"], start, stop)
    flags = struct.unpack_from(">I", data, at)[0] & 0xFFFFFF
    at += 8
    fields = {}
    for bit, width, name in ((1, 8, ""), (2, 4, ""), (8, 4, "duration"), (16, 4, "size"), (32, 4, "flags")):
        if flags & bit:
            fields[name] = int.from_bytes(data[at : at + width], "big")
            at += width
    at, _ = find(data, [b"traf", b"trun"], start, stop)
    flags, count = struct.unpack_from(">II", data, at)
    assert count == 1, "the input has one sample a fragment"
    at += 8
    for bit, name in ((1, ""), (4, "flags"), (0x100, "duration"), (0x200, "size"), (0x400, "flags"), (0x800, "offset")):
        if flags & bit:
            fields[name] = int.from_bytes(data[at : at + 4], "big")
            at += 4
    assert fields.get("offset", 0) == 0, "no reordering"
    return fields["duration"], not fields["flags"] & 0x10000


def chunk(number, time, track):
    """One moof and mdat of samples whose durations are all equal."""
    duration = track[0][0]
    assert all(sample[0] == duration for sample in track)
    assert not any(sample[1] for sample in track[1:]) or all(sample[1] for sample in track)
    audio = all(sample[1] for sample in track) and len(track) > 1
    tfhd = full(b"tfhd", 0, 0x020028, struct.pack(">III", 1, duration, SYNC if audio else NON_SYNC))
    tfdt = full(b"tfdt", 1, 0, struct.pack(">Q", time))
    first = track[0][1] and not audio

    def moof(offset):
        fields = struct.pack(">Ii", len(track), offset)
        if first:
            fields += struct.pack(">I", SYNC)
        sizes = b"".join(struct.pack(">I", len(sample[2])) for sample in track)
        trun = full(b"trun", 0, 0x205 if first else 0x201, fields, sizes)
        mfhd = full(b"mfhd", 0, 0, struct.pack(">I", number))
        return box(b"moof", mfhd, box(b"traf", tfhd, tfdt, trun))

    mdat = box(b"mdat", *(sample[2] for sample in track))
    return moof(len(moof(0)) + 8) + mdat


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--chunk", type=int, required=True, help="samples a chunk")
    parser.add_argument("--skip", type=int, default=0, help="samples dropped at the start")
    parser.add_argument("--frames", type=int, required=True, help="samples kept")
    options = parser.parse_args()
    assert options.frames % options.chunk == 0, "whole chunks alone"

    with open(options.input, "rb") as file:
        data = file.read()
    kept = list(samples(data))[options.skip : options.skip + options.frames]
    assert len(kept) == options.frames, f"only {len(kept)} samples"
    out, time = [header(data)], 0
    for number, at in enumerate(range(0, len(kept), options.chunk), start=1):
        track = kept[at : at + options.chunk]
        out.append(chunk(number, time, track))
        time += sum(sample[0] for sample in track)
    with open(options.output, "wb") as file:
        file.write(b"".join(out))


main()
