//! Bodies of playlists to what they say, each distinct body once: a fleet gets
//! the same few over and over.

use std::collections::VecDeque;
use std::io::Read;
use std::rc::Rc;

use flate2::read::MultiGzDecoder;

use crate::playlist::{self, MediaPlaylist, Multivariant};

/// Bodies remembered: a few versions of a few tracks.
const KEPT: usize = 16;
/// A day of two-second segments takes a fraction of it.
const TEXT_BYTES_MAX: u64 = 64 << 20;

#[derive(Clone, Debug)]
pub(crate) enum Playlist {
    Multivariant(Rc<Multivariant>),
    Media(Rc<MediaPlaylist>),
}

/// See the module's head.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    kept: VecDeque<(Rc<str>, Vec<u8>, Playlist)>,
}

impl Reader {
    /// Reads the body of a playlist that was asked for at `target`.
    pub(crate) fn read(
        &mut self,
        target: &str,
        body: &[u8],
        is_gzip: bool,
    ) -> Result<Playlist, &'static str> {
        let base = target.split('?').next().unwrap_or_default();
        let is_same =
            |(of, bytes, _): &&(Rc<str>, Vec<u8>, Playlist)| **of == *base && bytes == body;
        if let Some((_, _, playlist)) = self.kept.iter().find(is_same) {
            return Ok(playlist.clone());
        }
        let mut text = String::new();
        let whole = if is_gzip {
            let decoder = MultiGzDecoder::new(body);
            decoder.take(TEXT_BYTES_MAX).read_to_string(&mut text)
        } else {
            (&*body).read_to_string(&mut text)
        };
        whole.map_err(|_| "unreadable playlist")?;
        let playlist = if text.contains("#EXT-X-STREAM-INF") {
            let found = playlist::multivariant(base, &text).ok_or("no variant in a playlist")?;
            Playlist::Multivariant(Rc::new(found))
        } else {
            Playlist::Media(Rc::new(playlist::media(base, &text)?))
        };
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept
            .push_back((base.into(), body.to_vec(), playlist.clone()));
        Ok(playlist)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::playlist::tests::LIVE;

    #[test]
    fn bodies_are_read_once_and_alike_in_any_coding() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(LIVE.as_bytes()).unwrap();
        let packed = encoder.finish().unwrap();
        let mut reader = Reader::default();
        let mut read = |target, body: &[u8], is_gzip| match reader.read(target, body, is_gzip) {
            Ok(Playlist::Media(list)) => list,
            other => panic!("{other:?}"),
        };
        let plain = read("/v.m3u8?a=b", LIVE.as_bytes(), false);
        let again = read("/v.m3u8", LIVE.as_bytes(), false);
        assert!(Rc::ptr_eq(&plain, &again));
        assert_eq!(read("/v.m3u8", &packed, true), plain);
        let elsewhere = read("/x/v.m3u8", &packed, true);
        assert_ne!(elsewhere.segments[0].target, plain.segments[0].target);
    }

    #[test]
    fn what_is_no_playlist_is_an_error() {
        let mut reader = Reader::default();
        assert!(reader.read("/v", b"not gzip", true).is_err());
        assert!(reader.read("/v", &[0xff], false).is_err());
        assert!(
            reader
                .read("/v", b"#EXTM3U\n#EXT-X-STREAM-INF:A=1\n", false)
                .is_err()
        );
    }
}
