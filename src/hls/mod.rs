//! HLS: playlists drawn from a channel, and the decision on a blocking reload.
