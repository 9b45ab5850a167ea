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
//! | `daterange` | events of the channel as date ranges |
//! | [`operator`] | date ranges that an operator describes, in JSON |
//! | [`gzip`] | one gzip member out of pieces that were compressed before |
//! | [`multivariant`] | the multivariant playlist, its groups and names |
//! | `variables` | what the operator has playlists define |
//! | [`cache`] | lifetimes of answers |
//!
//! | clause | says | where | test |
//! |---|---|---|---|
//! | 4.2 | quoted strings hold no quote and no line end | `uri` | `s4_2_an_encoders_text_cannot_leave_its_quotes` |
//! | 4.4.3.3, 6.2.2 | the discontinuity sequence rises as discontinuities leave | `media` | `s6_2_2_discontinuities_that_leave_are_counted` |
//! | 4.4.3.6, 6.2.5.2 | a list of I-frames, held for the next whole segment | `media` | `s4_4_3_6_the_first_frame_of_every_whole_segment_is_listed` and its neighbours |
//! | 4.4.3.7-8 | PART-INF and PART-HOLD-BACK come with parts, the same in all playlists | `media` | `s4_4_3_8_server_control_is_the_same_in_all_playlists` |
//! | 4.4.2.3, 8 | the operator's variables stand in all playlists, and the version with them | `variables`, `media` | `s4_4_2_3_variables_of_the_operator_are_defined_and_used` |
//! | 4.4.3.7 | a track of whole segments has no parts beside those that do | `media` | `s4_4_3_7_a_track_of_whole_segments_has_no_parts_beside_those_that_do` |
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
//! | 4.4.5.1 | date ranges stand before the segments, the same in every playlist | `daterange` | `s4_4_5_1_date_ranges_stand_before_the_segments_of_every_playlist` |
//! | 4.4.5.1 | dates of ranges are those of segments | `daterange` | `s4_4_5_1_dates_are_those_of_the_segments` |
//! | 4.4.5.1 | what is said later of an id adds and never changes | `media::event` | `s4_4_5_1_later_statements_add_and_never_change` and its neighbours |
//! | 4.4.5.1 | what no date range can hold is refused | `operator` | `s4_4_5_1_what_a_date_range_cannot_hold_is_refused` |
//! | 4.4.5.1.1 | splice out and in are one id, other commands are SCTE35-CMD, cancelled ones leave, ids are distinct | `media::event` | `s4_4_5_1_1_an_insert_and_its_return_are_one_event` and its neighbours |
//! | 4.4.5.2 | the list of removed ids is there, empty or not, and the version is 10 | `daterange` | `s4_4_5_2_the_list_of_removals_may_be_empty_and_is_there` |
//! | 6.2.1 | a date range stays while any of it maps to listed media | `media::event` | `s6_2_1_an_event_stays_while_any_of_it_belongs_to_listed_media` |
//! | 6.2.5.1 | old date ranges are left out, and any copy that a delta joins becomes the playlist | `daterange` | `s6_2_5_1_a_delta_and_any_copy_it_joins_are_the_playlist` and its neighbours |
//! | D | an interstitial has one asset or one list | `operator` | `sd_interstitials_name_one_asset_or_list` |
//! | 4.4.6.1 | distinct names, one default, one automatic choice a language | `multivariant` | `s4_4_6_1_1_names_differ_and_one_a_language_is_chosen_automatically` |
//! | 4.4.6.1 | roles decide what is default, automatic, forced; characteristics | `multivariant` | `s4_4_6_1_roles_say_what_is_default_and_what_is_chosen` and its neighbours |
//! | 4.4.6.1.1 | groups of a type have the same members | `multivariant` | `s4_4_6_1_1_encodings_of_sound_are_groups_with_the_same_members`, `s4_4_6_1_group_rules_hold_for_any_tracks` |
//! | 4.4.6.2 | bandwidth, codecs of every rendition, resolution, groups | `multivariant` | `s4_4_6_2_a_ladder_with_two_languages_and_subtitles` |
//! | 4.4.6.2 | scores, ranges and captions on all variants or none | `multivariant` | `s4_4_6_2_a_score_is_on_all_variants_or_none` and its neighbours |
//! | 4.4.6.2, 4.4.6.6 | stable ids and pathways where steering is set | `multivariant` | `s4_4_6_an_operator_says_more` |
//! | 4.1 | bandwidths that what plays keeps to | `media::rates` | `auth_1_28_and_1_29_hold_whatever_comes` |
//! | 6.2.1 | edits only append, drop at the head, or age | `media` | `s6_2_1_a_known_segment_keeps_uri_duration_and_date` |
//! | 6.2.2 | parts leave the list after three target durations, parent by parent | `media` | `s6_2_2_parts_leave_parent_by_parent_after_three_targets` |
//! | 6.2.5, 6.2.5.2 | directives, holds, refusals | `reload` | `s6_2_5_2_the_table_of_decisions_row_by_row` and its neighbours |
//! | 6.2.5 | the first list is held for its first segment | `reload` | `s6_2_5_2_the_first_list_has_a_whole_segment` |
//! | 6.2.6 | hinted parts are held, others refused | `reload` | `s6_2_6_parts_are_served_held_or_refused_by_their_number` |
//! | B.1 | lifetimes in caches | `cache` | `sb_1_lifetimes_follow_the_table` |
//!
//! Not here yet: metadata tracks.

mod block;
pub mod cache;
mod daterange;
pub mod gzip;
pub mod media;
pub mod multivariant;
pub mod operator;
pub mod reload;
#[cfg(test)]
mod testing;
mod uri;
mod variables;

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
const _: () = assert!(SKIP_TARGETS < crate::media::event::REMEMBERED_TARGETS);

/// Whether a track has a media playlist that others name.
fn is_listed(track: &Track) -> bool {
    track.info.header.kind != Kind::Metadata
}
