//! Request targets to what they name, and names to targets.

/// What a target names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// `/live/{channel}/index.m3u8`
    Multivariant {
        /// Name of the channel.
        channel: &'a str,
    },
    /// `/live/{channel}/{track}.m3u8` with its delivery directives.
    MediaPlaylist {
        /// Name of the channel.
        channel: &'a str,
        /// Name of the track.
        track: &'a str,
        /// The query, raw and without `?`; `hls::reload` reads it.
        query: &'a str,
    },
    /// `/live/{channel}/{track}/{object}`
    Object {
        /// Name of the channel.
        channel: &'a str,
        /// Name of the track.
        track: &'a str,
        /// Which object of the track.
        object: ObjectName<'a>,
    },
    /// `/ingest/{channel}/{path}`; the path is percent-decoded by `ingest`.
    Ingest {
        /// Name of the channel.
        channel: &'a str,
        /// What follows it, raw, without the leading slash; may be empty.
        path: &'a str,
        /// The query, raw.
        query: &'a str,
    },
    /// `/healthz`
    Health,
    /// `/readyz`
    Ready,
    /// `/metrics`
    Metrics,
    /// `/time`
    Time,
    /// `/api/v1/channels`
    Channels,
    /// `/api/v1/channels/{channel}`
    Channel {
        /// Name of the channel.
        channel: &'a str,
    },
    /// `/` and the files of the page, by path.
    Page {
        /// `/`, `/player.js` and so on.
        path: &'a str,
    },
    /// Nothing here.
    Unknown,
    /// A path that tries to leave its root, or has bytes no name can have.
    Forbidden,
}

/// An object of a track, by the name that [`object_name`] gave it.
///
/// [`object_name`]: crate::http::route
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectName<'a> {
    /// `{generation}-h{id:016x}.mp4`
    Header {
        /// Generation of the channel.
        generation: &'a str,
        /// Digest of the header.
        id: u64,
    },
    /// `{generation}-s{msn}.m4s`
    Segment {
        /// Generation of the channel.
        generation: &'a str,
        /// Media sequence number.
        msn: u64,
    },
    /// `{generation}-p{number}.m4s`
    Part {
        /// Generation of the channel.
        generation: &'a str,
        /// Running number of the part.
        number: u64,
    },
}
