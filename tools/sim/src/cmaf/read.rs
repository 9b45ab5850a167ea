//! Reads chunks back: the checkers' view of what the origin delivers.

/// One chunk of one track as delivered.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Where it begins in what was read.
    pub at: usize,
    /// Bytes of all its boxes.
    pub len: usize,
    /// From tfdt.
    pub decode_time: u64,
    /// In order.
    pub samples: Vec<Sample>,
}

/// One sample as delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Ticks; `None` when the default of the header is meant.
    pub duration: Option<u32>,
    /// Sync flag; `None` when the default of the header is meant.
    pub sync: Option<bool>,
    /// Its bytes.
    pub payload: Vec<u8>,
}

/// Splits a part or segment into chunks of one traf each.
pub fn chunks(data: &[u8]) -> Result<Vec<Chunk>, String> {
    let mut out = Vec::new();
    let (mut at, mut start) = (0, 0);
    let mut moof: Option<(usize, &[u8])> = None;
    while at < data.len() {
        let (name, head, len) = box_at(data, at)?;
        let body = &data[at + head..at + len];
        match &name {
            b"moof" if moof.is_some() => return Err(format!("two moof in a row at {at}")),
            b"moof" => moof = Some((at, body)),
            b"mdat" => {
                let (moof_at, moof) = moof
                    .take()
                    .ok_or_else(|| format!("mdat without moof at {at}"))?;
                out.push(read_chunk(data, moof_at, moof, start, at + len)?);
                start = at + len;
            }
            b"styp" | b"sidx" | b"prft" | b"emsg" | b"skip" | b"free" => {}
            _ => return Err(format!("box {:?} at {at}", String::from_utf8_lossy(&name))),
        }
        at += len;
    }
    if start != data.len() {
        return Err(format!("{} bytes after the last mdat", data.len() - start));
    }
    Ok(out)
}

/// Whether `data` is ftyp and moov and nothing else.
pub fn is_header(data: &[u8]) -> bool {
    let Ok((name, _, len)) = box_at(data, 0) else {
        return false;
    };
    if name != *b"ftyp" {
        return false;
    }
    matches!(box_at(data, len), Ok((name, _, rest)) if name == *b"moov" && len + rest == data.len())
}

fn read_chunk(
    data: &[u8],
    moof_at: usize,
    moof: &[u8],
    start: usize,
    end: usize,
) -> Result<Chunk, String> {
    let mut found = None;
    for (name, body) in children(moof)? {
        if name == *b"traf" && found.replace(body).is_some() {
            return Err(format!("two traf in the moof at {moof_at}"));
        }
    }
    let traf = found.ok_or_else(|| format!("no traf in the moof at {moof_at}"))?;
    let mut defaults = (None, None, None);
    let mut decode_time = None;
    let mut samples = Vec::new();
    for (name, body) in children(traf)? {
        match &name {
            b"tfhd" => defaults = tfhd(body)?,
            b"tfdt" => {
                let mut body = Words(body);
                decode_time = Some(match body.next()? >> 24 {
                    0 => u64::from(body.next()?),
                    _ => u64::from(body.next()?) << 32 | u64::from(body.next()?),
                });
            }
            b"trun" => trun(data, moof_at, body, defaults, &mut samples)?,
            _ => {}
        }
    }
    let decode_time = decode_time.ok_or_else(|| format!("no tfdt in the moof at {moof_at}"))?;
    Ok(Chunk {
        at: start,
        len: end - start,
        decode_time,
        samples,
    })
}

type Defaults = (Option<u32>, Option<u32>, Option<u32>);

fn tfhd(body: &[u8]) -> Result<Defaults, String> {
    let mut body = Words(body);
    let flags = body.next()?;
    body.next()?;
    if flags & 0x01 != 0 {
        body.next()?;
        body.next()?;
    }
    if flags & 0x02 != 0 {
        body.next()?;
    }
    let mut field = |bit: u32| {
        if flags & bit != 0 {
            body.next().map(Some)
        } else {
            Ok(None)
        }
    };
    Ok((field(0x08)?, field(0x10)?, field(0x20)?))
}

fn trun(
    data: &[u8],
    moof_at: usize,
    body: &[u8],
    (duration, size, flags): Defaults,
    out: &mut Vec<Sample>,
) -> Result<(), String> {
    let mut body = Words(body);
    let trun = body.next()? & 0x00ff_ffff;
    let count = body.next()?;
    let mut at = if trun & 0x01 != 0 {
        moof_at
            .checked_add_signed(body.next()? as i32 as isize)
            .ok_or("data offset")?
    } else {
        return Err("trun without a data offset".into());
    };
    let first_flags = if trun & 0x04 != 0 {
        Some(body.next()?)
    } else {
        None
    };
    for index in 0..count {
        let mut field = |bit: u32| {
            if trun & bit != 0 {
                body.next().map(Some)
            } else {
                Ok(None)
            }
        };
        let sample_duration = field(0x100)?.or(duration);
        let len = field(0x200)?.or(size).ok_or("sample without a size")? as usize;
        let own_flags = field(0x400)?;
        field(0x800)?;
        let sample_flags = own_flags
            .or_else(|| first_flags.filter(|_| index == 0))
            .or(flags);
        let payload = data
            .get(at..at + len)
            .ok_or_else(|| format!("sample at {at} runs out"))?
            .to_vec();
        at += len;
        let sync = sample_flags.map(|flags| flags & 0x0001_0000 == 0);
        out.push(Sample {
            duration: sample_duration,
            sync,
            payload,
        });
    }
    Ok(())
}

/// A box: its name and what is in it.
type Child<'a> = ([u8; 4], &'a [u8]);

fn children(mut body: &[u8]) -> Result<Vec<Child<'_>>, String> {
    let mut out = Vec::new();
    while !body.is_empty() {
        let (name, head, len) = box_at(body, 0)?;
        out.push((name, &body[head..len]));
        body = &body[len..];
    }
    Ok(out)
}

fn box_at(data: &[u8], at: usize) -> Result<([u8; 4], usize, usize), String> {
    let word = |at: usize| -> Result<[u8; 4], String> {
        let bytes = data
            .get(at..at + 4)
            .ok_or_else(|| format!("box header cut at {at}"))?;
        Ok([bytes[0], bytes[1], bytes[2], bytes[3]])
    };
    let name = word(at + 4)?;
    let (head, len) = match u32::from_be_bytes(word(at)?) {
        1 => {
            let high = u64::from(u32::from_be_bytes(word(at + 8)?));
            let low = u64::from(u32::from_be_bytes(word(at + 12)?));
            (16, (high << 32 | low) as usize)
        }
        len => (8, len as usize),
    };
    if len < head || at + len > data.len() {
        return Err(format!("box of {len} bytes at {at} of {}", data.len()));
    }
    Ok((name, head, len))
}

struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn next(&mut self) -> Result<u32, String> {
        let (word, rest) = self.0.split_first_chunk::<4>().ok_or("box too short")?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmaf::write::{Fragment, Prefix, chunk, header};
    use crate::cmaf::{FlagLayout, Kind, Layout, TrackSpec};

    #[test]
    fn what_is_written_is_read_back() {
        for flags in [
            FlagLayout::FirstSample,
            FlagLayout::PerSample,
            FlagLayout::Trex,
        ] {
            for bits in 0..8u32 {
                let layout = Layout {
                    wide_tfdt: bits & 1 != 0,
                    flags,
                    durations_in_trun: bits & 2 != 0,
                    cts: (bits & 4 != 0).then_some(1),
                    large_mdat: bits & 4 != 0,
                };
                let spec = TrackSpec {
                    kind: Kind::Video,
                    track_id: 3,
                    timescale: 90_000,
                    sample_ticks: 3000,
                    width: 640,
                    layout,
                };
                let samples: Vec<_> = (0..3u8)
                    .map(|n| crate::cmaf::Sample {
                        duration: 3000,
                        sync: n == 0,
                        cts: -3,
                        payload: vec![n; 5 + usize::from(n)],
                    })
                    .collect();
                let prefix = Prefix {
                    styp: Some(&[b"cmfs"]),
                    prft_us: Some(5),
                    extras: true,
                    cue: None,
                };
                let fragment = Fragment {
                    spec: &spec,
                    decode_time: 77,
                    samples: &samples,
                };
                let one = chunk(1, prefix, &[fragment]);
                let two = [one.clone(), one.clone()].concat();
                let read = chunks(&two).expect("own chunk");
                assert_eq!(
                    (read.len(), read[1].at, read[1].len),
                    (2, one.len(), one.len())
                );
                assert_eq!(read[0].decode_time, 77);
                for (got, sent) in read[1].samples.iter().zip(&samples) {
                    assert_eq!(got.payload, sent.payload);
                    assert_eq!(got.duration, Some(3000));
                    assert!(got.sync.is_none_or(|sync| sync == sent.sync));
                }
                assert!(is_header(&header(&[spec])));
                assert!(!is_header(&one) && chunks(&two[..two.len() - 1]).is_err());
            }
        }
    }
}
