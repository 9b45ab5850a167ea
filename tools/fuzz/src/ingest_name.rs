//! Upload paths: what they name fits a URL, or they are refused.

use headwater::http::route::is_track_name;
use headwater::ingest::name::UploadName;

/// Reads a path as `/ingest/{channel}/` is followed by.
pub fn ingest_name(data: &[u8]) {
    let Ok(path) = std::str::from_utf8(data) else {
        return;
    };
    if let UploadName::Media { track, .. } = UploadName::parse(path) {
        assert!(is_track_name(&track), "{path:?} names the track {track:?}");
    }
}
