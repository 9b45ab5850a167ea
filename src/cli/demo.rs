//! `headwater demo`: an origin on loopback and an encoder beside it.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use crate::cli::DemoArgs;
use crate::io::{self, push::LoopedTrack};
use crate::shard::Settings;

/// The ladder that the binary carries; `tools/demo-media` makes it.
const LADDER: [(&str, &[u8]); 3] = [
    (
        "video-540p.cmfv",
        include_bytes!("../../fixtures/demo/video-540p.cmfv"),
    ),
    (
        "video-270p.cmfv",
        include_bytes!("../../fixtures/demo/video-270p.cmfv"),
    ),
    (
        "audio.cmfa",
        include_bytes!("../../fixtures/demo/audio.cmfa"),
    ),
];
const CHANNEL: &str = "demo";

pub(super) fn run(args: &DemoArgs) -> Result<(), String> {
    args.log.start()?;
    let tracks: Result<Vec<_>, _> = LADDER
        .iter()
        .map(|(name, file)| LoopedTrack::parse(name, file))
        .collect();
    let tracks = tracks?;
    let wanted: SocketAddr = args
        .listen
        .parse()
        .map_err(|_| format!("--listen: {:?} is not an address", args.listen))?;
    if !wanted.ip().is_loopback() {
        return Err("--listen: the demo takes pushes from anyone and stays on loopback".to_owned());
    }
    let options = io::Options {
        listen: vec![free(wanted)],
        cores: io::processors(),
        tuning: io::Tuning::default(),
    };
    io::run(options, &Arc::new(Settings::default()), |addresses| {
        let address = addresses[0];
        println!("headwater demo: live on http://{address}/");
        println!("  page  http://{address}/?channel={CHANNEL}");
        println!("  HLS   http://{address}/live/{CHANNEL}/index.m3u8");
        println!("  DASH  http://{address}/live/{CHANNEL}/manifest.mpd");
        println!("Stop with Ctrl-C.");
        io::push::push(address, CHANNEL, tracks);
    })
    .map_err(|error| error.to_string())
}

/// The wanted address, or another port of its host when that one is in use.
fn free(wanted: SocketAddr) -> SocketAddr {
    match TcpListener::bind(wanted) {
        Ok(_) => wanted,
        Err(_) => SocketAddr::new(wanted.ip(), 0),
    }
}
