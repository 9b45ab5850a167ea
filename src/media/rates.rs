//! Bit rates of a track as measured from its whole segments.

use crate::media::window::Segment;

/// A published figure is renewed when the measured one is off by this share, in
/// percent, so that manifests don't change with every segment.
const RENEW_PERCENT: u64 = 10;

/// See the module's head.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rates {
    bits: u128,
    micros: u128,
    peak_bps: u64,
    published: (u64, u64),
}

impl Rates {
    /// Takes in a whole segment; returns peak and average, in bits a second,
    /// when they should be published anew.
    pub(crate) fn note(&mut self, segment: &Segment) -> Option<(u64, u64)> {
        let scale = segment.header.track.timescale;
        let micros = scale.micros(segment.duration_ticks as i64).0.max(0) as u128;
        if segment.gap || micros == 0 {
            return None;
        }
        let bits = u128::from(segment.bytes()) * 8;
        self.bits += bits;
        self.micros += micros;
        // A rate over much less than a segment says nothing of the peak
        // (RFC 8216bis section 4.1 takes windows of half a target or more).
        if micros >= 500_000 {
            self.peak_bps = self.peak_bps.max(per_second(bits, micros));
        }
        let measured = (
            self.peak_bps,
            per_second(self.bits, self.micros).min(self.peak_bps),
        );
        let off = |old: u64, new: u64| old.abs_diff(new) * 100 > old * RENEW_PERCENT;
        let (peak, average) = self.published;
        if off(peak, measured.0) || off(average, measured.1) {
            self.published = measured;
            return Some(measured);
        }
        None
    }
}

fn per_second(bits: u128, micros: u128) -> u64 {
    u64::try_from(bits * 1_000_000 / micros.max(1)).unwrap_or(u64::MAX)
}
