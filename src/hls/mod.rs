//! HLS: playlists drawn from a channel, and the decision on a blocking reload.
//!
//! Sections are those of draft-pantos-hls-rfc8216bis. Everything here is a pure
//! function of a [`Channel`](crate::media::channel::Channel): mirrors that
//! applied the same changes draw the same bytes.
//!
//! | file | owns |
//! |---|---|
//! | [`reload`] | delivery directives, the decision on a request, hinted parts |
//! | [`media`] | media playlists, version after version |
//! | `block` | text of segments that no longer changes |
//! | [`gzip`] | one gzip member out of pieces that were compressed before |
//! | [`multivariant`] | the multivariant playlist |
//! | [`cache`] | lifetimes of answers |
//!
//! | clause | says | where | test |
//! |---|---|---|---|
//! | 4.2 | quoted strings hold no quote and no line end | `uri` | `s4_2_an_encoders_text_cannot_leave_its_quotes` |
//! | 4.4.3.3, 6.2.2 | the discontinuity sequence rises as discontinuities leave | `media` | `s6_2_2_discontinuities_that_leave_are_counted` |
//! | 4.4.3.6, 6.2.5.2 | a list of I-frames, held for the next whole segment | `media` | `s4_4_3_6_the_first_frame_of_every_whole_segment_is_listed` and its neighbours |
//! | 4.4.3.7-8 | PART-INF and PART-HOLD-BACK come with parts, the same in all playlists | `media` | `s4_4_3_8_server_control_is_the_same_in_all_playlists` |
//! | 4.4.4.3, 4.4.4.5 | a break and its map stand in front of the first part | `media` | `s4_4_4_9_breaks_and_maps_stand_in_front_of_the_first_part` |
//! | 4.4.4.6 | every segment has its date from the start | `media` | `s4_4_4_6_every_segment_is_dated` |
//! | 4.4.4.7, 6.2.1 | missing media is a gap of its length | `media` | `s4_4_4_7_missing_media_is_listed_as_a_gap` |
//! | 4.4.4.9 | no part prints above the part target | `media` | `s4_4_4_9_part_durations_do_not_exceed_the_target` |
//! | 4.4.4.9 | parts add up to their segment | `media` | `s4_4_4_9_part_durations_add_up_to_their_segment` |
//! | 4.4.3.8, 4.4.5.2 | delta updates keep six target durations and say how much they leave out | `media` | `s4_4_5_2_the_reference_state_skips_what_lies_behind_the_boundary` |
//! | 6.2.5.1 | a delta for who asks, the whole playlist where nothing is old enough and after the end | `media` | `s6_2_5_1_a_delta_and_what_it_left_out_are_the_playlist` and its neighbours |
//! | 4.4.5.3, B.1 | one hint, none after the end | `media` | `s4_4_5_3_the_hint_names_the_part_that_is_listed_next` |
//! | B.1 | a header that the next part needs is hinted and can be fetched | `media` | `sb_1_a_header_that_the_next_part_needs_is_hinted_and_there` |
//! | 4.4.4.9, 4.4.5.3 | parts and hints as ranges of their segments, as an option | `media` | `s4_4_4_9_parts_are_ranges_of_their_segments_where_that_is_chosen` |
//! | 4.4.5.3, 6.2.6 | a hinted range gets what is listed at its place | `shard` | `s4_4_5_3_a_hinted_range_gets_what_is_listed_there` |
//! | 6.2.6 | of the segment under way whole parts are sent, and its end | `shard` | `s6_2_6_the_open_segment_is_sent_part_by_part_on_every_core` |
//! | 4.4.5.4, B.1 | a report for every other playlist, under its URI | `media` | `s4_4_5_4_reports_name_the_uris_of_the_multivariant_playlist` |
//! | 4.4.6.1 | distinct names, one default, one automatic choice a language | `multivariant` | `s4_4_6_1_1_names_differ_and_one_a_language_is_chosen_automatically` |
//! | 4.4.6.2 | bandwidth, codecs of every rendition, resolution | `multivariant` | `s4_4_6_2_every_video_track_is_a_variant_with_the_audio_group` |
//! | 6.2.1 | edits only append, drop at the head, or age | `media` | `s6_2_1_a_known_segment_keeps_uri_duration_and_date` |
//! | 6.2.2 | parts leave the list after three target durations, parent by parent | `media` | `s6_2_2_parts_leave_parent_by_parent_after_three_targets` |
//! | 6.2.5, 6.2.5.2 | directives, holds, refusals | `reload` | `s6_2_5_2_the_table_of_decisions_row_by_row` and its neighbours |
//! | 6.2.5 | the first list is held for its first segment | `reload` | `s6_2_5_2_the_first_list_has_a_whole_segment` |
//! | 6.2.6 | hinted parts are held, others refused | `reload` | `s6_2_6_parts_are_served_held_or_refused_by_their_number` |
//! | B.1 | lifetimes in caches | `cache` | `sb_1_lifetimes_follow_the_table` |
//!
//! Not here yet: I-frame playlists, DATERANGE, subtitle and
//! metadata tracks.

mod block;
pub mod cache;
pub mod gzip;
pub mod media;
pub mod multivariant;
pub mod reload;
#[cfg(test)]
mod testing;
mod uri;

use crate::media::channel::Track;
use crate::media::cmaf::Kind;

/// Which playlist of a track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum List {
    /// All its media.
    #[default]
    Media,
    /// The first frame of each segment of a video track (section 4.4.3.6). They
    /// have the numbers of their segments, so that these follow from time too.
    IFrames,
}

/// Parts are listed until they lie this many target durations from the end of
/// the list (section 6.2.2).
const HORIZON_TARGETS: u64 = 3;

/// Delta updates leave out what lies further from the end of the list than this
/// many target durations, the fewest allowed (section 4.4.3.8).
const SKIP_TARGETS: u64 = 6;

/// Whether a track has a media playlist that others name.
fn is_listed(track: &Track) -> bool {
    matches!(track.info.header.kind, Kind::Video | Kind::Audio)
}
