//! Every bound in headwater, with its unit and its reason.
//!
//! What a peer can grow is bounded here and nowhere else; each bound has a test
//! of what happens at it. Relations between bounds are checked at compile time.

/// Bytes of one HTTP request head, request line and fields together. Browsers
/// and CDNs stay below 8 KiB; more is refused with 431.
pub const REQUEST_HEAD_BYTES_MAX: usize = 16 * 1024;
/// Bytes of one request target. Longer ones are refused with 414.
pub const REQUEST_TARGET_BYTES_MAX: usize = 4 * 1024;
/// Header fields of one request. More are refused with 431.
pub const REQUEST_FIELDS_MAX: usize = 64;
/// Bytes of one chunk-size line of a chunked body, extensions included. A
/// longer line is a framing error (400, close).
pub const CHUNK_LINE_BYTES_MAX: usize = 256;
/// Bytes of the trailer section after the last chunk.
pub const TRAILER_BYTES_MAX: usize = 4 * 1024;
/// Bytes kept for a connection that pipelines while its current exchange is
/// unanswered. Beyond it the connection is no longer read until it drains.
pub const PIPELINED_BYTES_MAX: usize = 64 * 1024;
/// Bytes taken beyond `PIPELINED_BYTES_MAX` from a peer that goes on sending:
/// what the shell may have under way when it stops reading. More is abuse (400,
/// close).
pub const PIPELINED_OVERRUN_BYTES_MAX: usize = 256 * 1024;
/// Empty lines skipped in front of one request line (RFC 9112 section 2.2 asks
/// for at least one).
pub const LEADING_EMPTY_LINES_MAX: u8 = 4;
/// Bytes of a refused body that are read and thrown away before the answer, so
/// that the peer sees it; beyond it the connection is closed.
pub const REFUSED_BODY_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// A head must be whole this long after its first byte (408 otherwise).
pub const REQUEST_HEAD_MS_MAX: u64 = 10_000;
/// An idle keep-alive connection of a player is closed after this.
pub const IDLE_PLAYER_MS_MAX: u64 = 75_000;
/// An idle keep-alive connection that has carried ingest is closed after this:
/// encoders keep one between segments and break when it goes away.
pub const IDLE_ENCODER_MS_MAX: u64 = 600_000;
/// A peer that takes no byte of a response for this long is dropped.
pub const SEND_STALL_MS_MAX: u64 = 30_000;
/// An upload that brings no byte for this long is given up. Encoders open the
/// PUT of the next segment a whole segment early.
pub const UPLOAD_SILENT_MS_MAX: u64 = 60_000;

/// Longest segment that can be asked for.
pub const SEGMENT_MS_MAX: u64 = 30_000;

/// Bytes of one non-media box that is kept whole (moov, moof, styp, prft, emsg,
/// sidx). Real ones are below 100 KiB.
pub const BOX_BYTES_MAX: u64 = 1024 * 1024;
/// Bytes of the boxes before a moof that belong to its chunk (styp, prft, emsg,
/// sidx, unknown ones), all together.
pub const CHUNK_PREFIX_BYTES_MAX: u64 = 256 * 1024;
/// Bytes of one chunk: prefix, moof and mdat. A 10 s segment at 50 Mbit/s sent
/// as one chunk is 63 MB.
pub const CHUNK_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// Bytes reserved ahead for a chunk whose size has only been claimed; beyond
/// this, memory grows with what really arrives.
pub const CHUNK_RESERVE_BYTES_MAX: usize = 256 * 1024;
/// Samples of one track in one chunk. Ten seconds of 48 kHz AAC are 469.
pub const CHUNK_SAMPLES_MAX: usize = 16 * 1024;
/// Decode time of a chunk in ticks. An epoch clock of nanoseconds is at 2^61;
/// below this bound sums of times fit 64 bits with a sign.
pub const DECODE_TICKS_MAX: u64 = 1 << 62;
/// Decode time of a chunk in seconds, 136 years: an epoch clock until 2106.
pub const DECODE_SECONDS_MAX: u64 = 1 << 32;
/// Ticks a second of a track: nanoseconds. With `DECODE_SECONDS_MAX` a clock
/// that is shifted by as much again still fits 64 bits with a sign.
pub const TIMESCALE_MAX: u32 = 1_000_000_000;
/// Duration of one chunk in seconds. Whole segments sent as one are below 30 s.
pub const CHUNK_SECONDS_MAX: u64 = 120;
/// Shortest segment, in milliseconds, that the grid of a channel takes for its
/// cell: a gap is filled by cells.
pub const GRID_CELL_MS_MIN: u64 = 500;
/// Ticks by which an edit list may shift a track either way, 18 minutes of
/// nanoseconds. Real ones cover some frames.
pub const EDIT_TICKS_MAX: u64 = 1 << 40;
/// Tracks in one CMAF header or muxed upload.
pub const HEADER_TRACKS_MAX: usize = 8;
/// Bytes of a sample of text that is written twice to cut a chunk in the middle
/// of it. Real ones, images left out, are below 10 KiB.
pub const TEXT_SAMPLE_BYTES_MAX: u32 = 64 * 1024;
/// Longest hole in a track of text that is filled by gaps when media goes on at
/// the live edge, in milliseconds: nobody may have spoken for so long.
pub const TEXT_GAP_MS_MAX: u64 = 3_600_000;
/// Kind boxes of one track that are read. Real tracks have one or two.
pub const TRACK_KINDS_MAX: usize = 16;
/// Boxes in one traf, truns included. CMAF has one trun; muxers that interleave
/// finely write some dozens.
pub const FRAGMENT_BOXES_MAX: usize = 512;

/// Event messages of one chunk that are looked at; encoders send one or two.
pub const CHUNK_MESSAGES_MAX: usize = 64;

/// Statements about events in one channel's list. Breaks with their ends and
/// an operator's marks are some hundreds in a window of a day; a further one is
/// refused.
pub const EVENT_STATEMENTS_MAX: usize = 1024;
/// Bytes of all of them: they stand in every playlist.
pub const EVENT_BYTES_MAX: usize = 512 * 1024;
/// Ids of a channel that can't be used: those in the list, and those that were
/// taken off it within a window.
pub const EVENT_IDS_MAX: usize = 4096;
/// Bytes of a request that describes an event.
pub const EVENT_REQUEST_BYTES_MAX: usize = 16 * 1024;
/// Requests of one core that describe events and are not whole.
pub const EVENT_REQUESTS_MAX: usize = 256;
/// How far ahead of the live edge an event may begin, in seconds: a schedule
/// for a week.
pub const EVENT_AHEAD_S_MAX: i64 = 7 * 86_400;
/// An event that is given no end is over after this, in seconds, so that one
/// that was forgotten does not stand in the list for ever.
pub const EVENT_OPEN_S_MAX: i64 = 86_400;

/// Questions about all cores (metrics, lists of channels) that one core puts at
/// once: each answer holds a report of every channel. A further one is refused.
pub const CORE_QUESTIONS_MAX: usize = 64;
/// Log lines of one core in a second that are about what peers do.
pub const LOG_LINES_A_SECOND_MAX: u32 = 20;

/// Tracks of one channel. A ladder of 8, 8 languages, subtitles and metadata.
pub const CHANNEL_TRACKS_MAX: usize = 48;
/// Channels of one process; a further one is refused with 503.
pub const CHANNELS_MAX: usize = 10_000;
/// Bytes of a channel or track name.
pub const NAME_BYTES_MAX: usize = 64;
/// Bytes of one text that the operator has in manifests: names, URIs, values.
pub const WORD_BYTES_MAX: usize = 256;
/// Parts of one segment. A 10 s segment of 100 ms parts.
pub const SEGMENT_PARTS_MAX: usize = 128;
/// Bytes held for one upload whose CMAF header has not come yet.
pub const HEADERLESS_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// How long such media waits for its header before 412.
pub const HEADERLESS_MS_MAX: u64 = 5_000;
/// Bytes held for one track before the channel's targets are known.
pub const PRIMING_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Uploads open at once in one channel.
pub const CHANNEL_UPLOADS_MAX: usize = 256;

/// Connections of one core. The descriptor limit of the process is shared out
/// among the cores and may be lower.
pub const CORE_CONNECTIONS_MAX: usize = 1 << 20;
/// Requests parked on one core, streamed responses under way included.
pub const CORE_PARKED_MAX: usize = 1 << 19;
/// Requests parked on one channel on one core, streamed responses under way
/// included; overflow is 503.
pub const CHANNEL_PARKED_MAX: usize = 1 << 18;
/// Slots of players who left a channel while they waited, on one core, that are
/// not worth a search; beyond it they may not outnumber those who wait.
pub const CHANNEL_LEFT_MAX: usize = 1024;
/// Requests of one channel on one core that came before there was anything to
/// serve; overflow is 503.
pub const CHANNEL_EARLY_MAX: usize = 10_000;
/// Letters under way from one core to another. A mirror that falls further
/// behind is marked stale and gets a snapshot later.
pub const MAILBOX_LETTERS_MAX: usize = 4096;
/// Cores one process uses.
pub const CORES_MAX: usize = 128;

/// Bytes of a response that are sent as one buffer, head and body together.
pub const ONE_SEND_BYTES_MAX: usize = 16 * 1024;
/// Bytes handed to the kernel for one connection before others get their turn.
pub const SEND_BURST_BYTES_MAX: usize = 256 * 1024;
/// Bytes of a connection that the kernel keeps and has not sent: a body that a
/// slow peer does not take stays where all peers share it, and what is in flight
/// stays in the processor's cache. What the network holds is not bounded by it.
pub const SOCKET_UNSENT_BYTES_MAX: u32 = 128 * 1024;
/// Bytes of queued sends that one turn of a core starts: half a millisecond of
/// copying, so that small answers are not held up by large bodies.
pub const TURN_SEND_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Queued sends that one turn of a core starts; others are answered between two
/// chunks of a large wake-up.
pub const TURN_SENDS_MAX: usize = 256;
/// Completions handled in one turn of a core.
pub const TURN_COMPLETIONS_MAX: usize = 1024;
/// Letters of one sender read in one turn of a core.
pub const TURN_LETTERS_MAX: usize = 256;
/// How long a peer has to read its last response before the descriptor is
/// closed over bytes it still sends.
pub const LINGER_MS_MAX: u64 = 2_000;
/// A stop that has not come to its end after this breaks what is left. Service
/// managers kill after 10 s; the promise is 5.
pub const DRAIN_MS_MAX: u64 = 4_500;
/// Connections accepted during a stop have this long to bring their request.
pub const DRAIN_GRACE_MS: u64 = 250;
/// Descriptors of the process that are not connections: logs, rings, listeners.
pub const DESCRIPTORS_RESERVED: usize = 512;

const _: () = assert!(REQUEST_TARGET_BYTES_MAX < REQUEST_HEAD_BYTES_MAX);
const _: () = assert!(EVENT_REQUEST_BYTES_MAX < EVENT_BYTES_MAX);
const _: () = assert!(EVENT_STATEMENTS_MAX < EVENT_IDS_MAX);
const _: () = assert!(REQUEST_HEAD_BYTES_MAX <= PIPELINED_BYTES_MAX);
const _: () = assert!(BOX_BYTES_MAX + CHUNK_PREFIX_BYTES_MAX < CHUNK_BYTES_MAX);
const _: () = assert!(CHUNK_RESERVE_BYTES_MAX as u64 <= CHUNK_BYTES_MAX);
const _: () = assert!(CHANNEL_PARKED_MAX <= CORE_PARKED_MAX);
const _: () = assert!(CORE_PARKED_MAX <= CORE_CONNECTIONS_MAX);
const _: () = assert!(ONE_SEND_BYTES_MAX <= SEND_BURST_BYTES_MAX);
const _: () = assert!(SEND_BURST_BYTES_MAX <= TURN_SEND_BYTES_MAX);
const _: () = assert!(DRAIN_GRACE_MS * 2 <= DRAIN_MS_MAX);
const _: () = assert!(IDLE_ENCODER_MS_MAX > IDLE_PLAYER_MS_MAX);
// An encoder opens a PUT 30 s before its first byte, and keeps a connection over
// ten of the longest segments (DASH-IF live media ingest).
const _: () = assert!(UPLOAD_SILENT_MS_MAX >= 2 * SEGMENT_MS_MAX);
const _: () = assert!(IDLE_ENCODER_MS_MAX >= 10 * SEGMENT_MS_MAX);
const _: () = assert!(HEADERLESS_BYTES_MAX <= PRIMING_BYTES_MAX);
