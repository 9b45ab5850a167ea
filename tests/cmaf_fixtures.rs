//! Real encoders' bytes: what the probe tells of them, against
//! `fixtures/<encoder>/<case>/expect.txt`, and what a foreign reader of boxes
//! makes of the same. `UPDATE_GOLDEN=1` rewrites the expectations.

use std::fs;
use std::path::{Path, PathBuf};

use headwater::media::cmaf::{Chunk, Event, Fragment, Header, Parser};
use headwater::media::probe::Probe;
use mp4_atom::{Any, Decode};

const ENCODERS: [&str; 4] = [
    "ffmpeg-5.1.9",
    "ffmpeg-9.0.2",
    "gstreamer-1.22",
    "shaka-3.8.0",
];

/// Pieces of a length that divides no box, so that every box is split.
const PIECE_BYTES: usize = 1021;

fn entries(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut entries: Vec<PathBuf> = entries.collect();
    entries.sort();
    entries
}

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let all = ENCODERS
        .iter()
        .flat_map(|encoder| entries(&root.join(encoder)));
    all.filter(|case| case.is_dir()).collect()
}

/// The bodies of a case, in the order in which they were pushed.
fn bodies(case: &Path) -> Vec<(String, Vec<u8>)> {
    let files = entries(case)
        .into_iter()
        .filter(|file| file.extension().unwrap() != "txt");
    let name = |file: &Path| file.file_name().unwrap().to_str().unwrap().to_owned();
    files
        .map(|file| (name(&file), fs::read(&file).unwrap()))
        .collect()
}

#[test]
fn the_probe_tells_what_it_told() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let cases = cases();
    assert!(cases.len() > 20, "{} cases", cases.len());
    for case in cases {
        let mut probe = Probe::new();
        for (name, body) in bodies(&case) {
            probe.begin(&name);
            body.chunks(PIECE_BYTES).for_each(|piece| probe.push(piece));
        }
        let seen = probe.finish().to_string();
        let expected = case.join("expect.txt");
        if update {
            fs::write(&expected, &seen).unwrap();
        }
        assert_eq!(
            seen,
            fs::read_to_string(&expected).unwrap(),
            "{}",
            case.display()
        );
    }
}

#[test]
fn a_foreign_reader_sees_the_same_boxes() {
    let (mut headers, mut chunks) = (0, 0);
    for case in cases() {
        for (name, body) in bodies(&case) {
            println!("{} {name}", case.display());
            let mut theirs = foreign(&body).into_iter();
            let (mut parser, mut rest) = (Parser::new(), &body[..]);
            while let Some(event) = parser.push(&mut rest).unwrap() {
                match (event, theirs.next()) {
                    (Event::Header(ours), Some(Any::Moov(theirs))) => {
                        same_header(&ours, &theirs);
                        headers += 1;
                    }
                    (Event::Chunk(ours), Some(Any::Moof(theirs))) => {
                        same_chunk(&ours, &theirs);
                        chunks += 1;
                    }
                    (Event::End { .. }, None) => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    }
    assert!(
        headers >= 20 && chunks >= 500,
        "{headers} headers, {chunks} chunks"
    );
}

/// Every moov and moof of a body; the body may end early.
fn foreign(body: &[u8]) -> Vec<Any> {
    let mut out = Vec::new();
    let mut rest = body;
    while let Some((head, _)) = rest.split_first_chunk::<8>() {
        let len = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let Some((whole, after)) = rest.split_at_checked(len) else {
            break;
        };
        if matches!(&head[4..], b"moov" | b"moof") {
            out.push(Any::decode(&mut &whole[..]).unwrap());
        }
        rest = after;
    }
    out
}

fn same_header(ours: &Header, theirs: &mp4_atom::Moov) {
    assert_eq!(ours.tracks.len(), theirs.trak.len());
    for (ours, theirs) in ours.tracks.iter().zip(&theirs.trak) {
        assert_eq!(ours.track_id, theirs.tkhd.track_id);
        assert_eq!(ours.timescale.get(), theirs.mdia.mdhd.timescale);
        let edits = theirs
            .edts
            .iter()
            .flat_map(|edts| &edts.elst)
            .flat_map(|elst| &elst.entries);
        let first = edits.clone().find_map(|edit| edit.media_time).unwrap_or(0) as i64;
        let has_empty = edits.clone().any(|edit| edit.media_time.is_none());
        assert!(if has_empty {
            ours.edit_shift_ticks < first
        } else {
            ours.edit_shift_ticks == first
        });
    }
}

fn same_chunk(ours: &Chunk, theirs: &mp4_atom::Moof) {
    assert_eq!(ours.sequence_number, theirs.mfhd.sequence_number);
    assert_eq!(ours.fragments.len(), theirs.traf.len());
    for (ours, theirs) in ours.fragments.iter().zip(&theirs.traf) {
        assert_eq!(ours.track_id, theirs.tfhd.track_id);
        assert_eq!(
            Some(ours.decode_time),
            theirs.tfdt.as_ref().map(|tfdt| tfdt.base_media_decode_time)
        );
        let defaults = (ours.duration, ours.size, ours.flags);
        let tfhd = &theirs.tfhd;
        let told = (
            tfhd.default_sample_duration,
            tfhd.default_sample_size,
            tfhd.default_sample_flags,
        );
        assert_eq!(defaults, told);
        assert_eq!(ours.runs.len(), theirs.trun.len());
        same_samples(ours, &theirs.trun);
    }
}

fn same_samples(ours: &Fragment, theirs: &[mp4_atom::Trun]) {
    for (ours, theirs) in ours.runs.iter().zip(theirs) {
        assert_eq!(ours.data_offset, theirs.data_offset);
        assert_eq!(ours.samples.len(), theirs.samples.iter().count());
        for (index, (ours_one, theirs)) in
            ours.samples.iter().zip(theirs.samples.iter()).enumerate()
        {
            let given = |has: bool, value: u32| has.then_some(value);
            assert_eq!(
                given(ours.has_durations, ours_one.duration),
                theirs.duration
            );
            assert_eq!(given(ours.has_sizes, ours_one.size), theirs.size);
            let first = if index == 0 { ours.first_flags } else { None };
            assert_eq!(
                given(ours.has_flags, ours_one.flags).or(first),
                theirs.flags
            );
            assert_eq!(i64::from(ours_one.cts), theirs.cts.unwrap_or(0));
        }
    }
}
