//! Any text as a request target.

use headwater::http::route::{ObjectName, Route, is_name, is_track_name};

/// Names that come out are names, and a target with no ingest in it has one
/// spelling.
pub fn http_route(data: &[u8]) {
    let Ok(target) = str::from_utf8(data) else {
        return;
    };
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    match Route::parse(target) {
        Route::Mpd { channel, .. } => {
            assert!(is_name(channel) && path.ends_with(".mpd"));
        }
        Route::Patch {
            channel,
            generation,
            version,
        } => {
            let name = format!("{generation}-timeline-{version}.mpp");
            assert!(is_name(channel) && is_name(generation) && path.ends_with(&name));
        }
        Route::Multivariant { channel } => {
            assert!(is_name(channel));
            assert_eq!(path, format!("/live/{channel}/index.m3u8"));
        }
        Route::IFramePlaylist { channel, track, .. } => {
            assert!(is_name(channel) && is_track_name(track));
        }
        Route::MediaPlaylist {
            channel,
            track,
            query,
        } => {
            assert!(is_name(channel) && is_track_name(track) && target.ends_with(query));
            assert_eq!(path, format!("/live/{channel}/{track}.m3u8"));
        }
        Route::Object {
            channel,
            track,
            object,
        } => {
            assert!(is_name(channel) && is_track_name(track));
            assert_eq!(path, format!("/live/{channel}/{track}/{object}"));
            assert_eq!(ObjectName::parse(&object.to_string()), Some(object));
        }
        Route::Ingest {
            channel,
            path: rest,
            ..
        } => {
            assert!(is_name(channel) && path.ends_with(rest));
            assert!(!rest.split('/').any(|segment| segment == ".."));
        }
        Route::Channel { channel } | Route::EndChannel { channel, .. } => {
            assert!(is_name(channel));
        }
        Route::DateRanges { channel, id, .. } => {
            let id = id.map_or_else(String::new, |id| format!("/{id}"));
            assert_eq!(path, format!("/api/v1/channels/{channel}/dateranges{id}"));
        }
        Route::Page { path: page } => assert_eq!(page, path),
        Route::Health
        | Route::Ready
        | Route::Metrics
        | Route::Time
        | Route::Channels
        | Route::Unknown
        | Route::BadChannelName
        | Route::Forbidden => {}
    }
}
