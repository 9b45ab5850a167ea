//! Which transfer characteristics video has, for those that must know whether
//! it is of high dynamic range before they play it.
//!
//! The colr box says so where there is one; else the decoder configuration
//! does, deep inside. What cannot be read there is unknown and no error: a
//! decoder may know better.

use super::Transfer;
use crate::media::bmff::{Child, Reader};

/// Set of short-term reference pictures in one HEVC SPS (7.4.3.2.1).
const HEVC_PICTURE_SETS_MAX: u32 = 64;

impl Transfer {
    /// Reads a code point of ISO/IEC 23091-2; `None` for "unspecified".
    fn of(code: u32) -> Option<Self> {
        match code {
            16 => Some(Self::Pq),
            18 => Some(Self::Hlg),
            1 | 4..=15 | 17 => Some(Self::Sdr),
            _ => None,
        }
    }
}

/// A colr box (ISO/IEC 14496-12 section 12.1.5).
pub(super) fn of_colr(mut colr: Reader<'_>) -> Option<Transfer> {
    let form = colr.four_cc().ok()?;
    colr.u16().ok()?; // colour_primaries
    let code = colr.u16().ok()?;
    if form == *b"nclx" || form == *b"nclc" {
        Transfer::of(code.into())
    } else {
        None
    }
}

/// A decoder configuration: avcC, hvcC, av1C or vpcC.
pub(super) fn of_config(config: &Child<'_>) -> Option<Transfer> {
    let payload = config.payload;
    let code = match &config.name.0 {
        b"avcC" => avc(payload),
        b"hvcC" => hevc(payload),
        b"av1C" => av1(payload),
        b"vpcC" => payload.rest().get(8).map(|code| u32::from(*code)),
        _ => None,
    };
    Transfer::of(code?)
}

/// The first SPS of an avcC (ISO/IEC 14496-15 section 5.3.3.1).
fn avc(mut config: Reader<'_>) -> Option<u32> {
    config.take(5).ok()?;
    let count = config.u8().ok()? & 0x1f;
    if count == 0 {
        return None;
    }
    let len = config.u16().ok()?;
    let sps = unescaped(config.take(len.into()).ok()?.get(1..)?);
    avc_sps(&mut Bits::new(&sps))
}

/// The first SPS of an hvcC (ISO/IEC 14496-15 section 8.3.3.1).
fn hevc(mut config: Reader<'_>) -> Option<u32> {
    config.take(22).ok()?;
    for _ in 0..config.u8().ok()? {
        let kind = config.u8().ok()? & 0x3f;
        for _ in 0..config.u16().ok()? {
            let len = config.u16().ok()?;
            let nal = config.take(len.into()).ok()?;
            if kind == 33 {
                let sps = unescaped(nal.get(2..)?);
                return hevc_sps(&mut Bits::new(&sps));
            }
        }
    }
    None
}

/// The sequence header among the OBUs of an av1C (AV1 in ISOBMFF section 2.3).
fn av1(mut config: Reader<'_>) -> Option<u32> {
    config.take(4).ok()?;
    loop {
        let head = config.u8().ok()?;
        if head & 0x04 != 0 {
            config.u8().ok()?;
        }
        let mut len = 0usize;
        for shift in (0..28).step_by(7) {
            let byte = config.u8().ok()?;
            len |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let obu = config.take(len).ok()?;
        if head >> 3 & 0x0f == 1 {
            return av1_sequence(&mut Bits::new(obu));
        }
    }
}

/// ITU-T H.264 section 7.3.2.1.1, up to the transfer characteristics.
fn avc_sps(sps: &mut Bits<'_>) -> Option<u32> {
    let profile = sps.take(8)?;
    sps.skip(16)?;
    sps.golomb()?; // seq_parameter_set_id
    if [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135].contains(&profile) {
        let chroma = sps.golomb()?;
        if chroma == 3 {
            sps.skip(1)?;
        }
        sps.golombs(2)?; // bit depths
        sps.skip(1)?;
        if sps.flag()? {
            for list in 0..if chroma == 3 { 12 } else { 8 } {
                if sps.flag()? {
                    avc_scaling_list(sps, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    sps.golomb()?; // log2_max_frame_num_minus4
    match sps.golomb()? {
        0 => sps.golombs(1)?,
        1 => {
            sps.skip(1)?;
            sps.golombs(2)?;
            let cycle = sps.golomb()?;
            sps.golombs(cycle.min(255))?;
        }
        _ => {}
    }
    sps.golomb()?; // max_num_ref_frames
    sps.skip(1)?;
    sps.golombs(2)?; // width and height in macroblocks
    if !sps.flag()? {
        sps.skip(1)?;
    }
    sps.skip(1)?;
    if sps.flag()? {
        sps.golombs(4)?; // cropping
    }
    vui(sps)
}

fn avc_scaling_list(sps: &mut Bits<'_>, len: u32) -> Option<()> {
    let (mut last, mut next) = (8, 8);
    for _ in 0..len {
        if next != 0 {
            let code = i64::from(sps.golomb()?);
            let delta = if code & 1 == 1 {
                (code + 1) / 2
            } else {
                -code / 2
            };
            next = (last + delta).rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

/// ITU-T H.265 section 7.3.2.2.1, up to the transfer characteristics.
fn hevc_sps(sps: &mut Bits<'_>) -> Option<u32> {
    sps.skip(4)?;
    let sub_layers = sps.take(3)?;
    sps.skip(1)?;
    hevc_profile_tier_level(sps, sub_layers)?;
    sps.golomb()?; // sps_seq_parameter_set_id
    if sps.golomb()? == 3 {
        sps.skip(1)?;
    }
    sps.golombs(2)?; // width and height
    if sps.flag()? {
        sps.golombs(4)?; // conformance window
    }
    sps.golombs(2)?; // bit depths
    let poc_bits = sps.golomb()?.min(12) + 4;
    let first = if sps.flag()? { 0 } else { sub_layers };
    for _ in first..=sub_layers {
        sps.golombs(3)?;
    }
    sps.golombs(6)?; // block sizes and depths
    if sps.flag()? && sps.flag()? {
        hevc_scaling_lists(sps)?;
    }
    sps.skip(2)?;
    if sps.flag()? {
        sps.skip(8)?;
        sps.golombs(2)?;
        sps.skip(1)?;
    }
    hevc_picture_sets(sps)?;
    if sps.flag()? {
        for _ in 0..sps.golomb()?.min(32) {
            sps.skip(poc_bits + 1)?;
        }
    }
    sps.skip(2)?;
    vui(sps)
}

/// ITU-T H.265 section 7.3.3.
fn hevc_profile_tier_level(sps: &mut Bits<'_>, sub_layers: u32) -> Option<()> {
    sps.skip(96)?;
    let mut present = Vec::new();
    for _ in 0..sub_layers {
        present.push((sps.flag()?, sps.flag()?));
    }
    if sub_layers > 0 {
        sps.skip(2 * (8 - sub_layers))?;
    }
    for (profile, level) in present {
        sps.skip(if profile { 88 } else { 0 } + if level { 8 } else { 0 })?;
    }
    Some(())
}

/// ITU-T H.265 section 7.3.4.
fn hevc_scaling_lists(sps: &mut Bits<'_>) -> Option<()> {
    for size in 0..4 {
        for _ in (0..6).step_by(if size == 3 { 3 } else { 1 }) {
            if sps.flag()? {
                sps.golombs(u32::from(size > 1))?;
                sps.golombs(64.min(1 << (4 + 2 * size)))?;
            } else {
                sps.golomb()?;
            }
        }
    }
    Some(())
}

/// ITU-T H.265 section 7.3.7, all sets.
fn hevc_picture_sets(sps: &mut Bits<'_>) -> Option<()> {
    let mut pictures = 0u32;
    for set in 0..sps.golomb()?.min(HEVC_PICTURE_SETS_MAX) {
        if set > 0 && sps.flag()? {
            sps.skip(1)?;
            sps.golomb()?;
            let mut kept = 0;
            for _ in 0..=pictures {
                // A picture that is not used may still be counted.
                if sps.flag()? || sps.flag()? {
                    kept += 1;
                }
            }
            pictures = kept;
        } else {
            pictures = sps.golomb()?.min(16) + sps.golomb()?.min(16);
            for _ in 0..pictures {
                sps.golomb()?;
                sps.skip(1)?;
            }
        }
    }
    Some(())
}

/// The beginning of the VUI, alike in ITU-T H.264 annex E and H.265 annex E.
fn vui(sps: &mut Bits<'_>) -> Option<u32> {
    if !sps.flag()? {
        return None;
    }
    if sps.flag()? && sps.take(8)? == 255 {
        sps.skip(32)?; // the aspect ratio in full
    }
    if sps.flag()? {
        sps.skip(1)?; // overscan
    }
    if !sps.flag()? {
        return None;
    }
    sps.skip(4)?;
    if !sps.flag()? {
        return None;
    }
    sps.skip(8)?; // colour_primaries
    sps.take(8)
}

/// AV1 section 5.5.1, up to the transfer characteristics.
fn av1_sequence(obu: &mut Bits<'_>) -> Option<u32> {
    let profile = obu.take(3)?;
    obu.skip(1)?;
    let reduced = obu.flag()?;
    if reduced {
        obu.skip(5)?;
    } else {
        av1_operating_points(obu)?;
    }
    let (width_bits, height_bits) = (obu.take(4)? + 1, obu.take(4)? + 1);
    obu.skip(width_bits + height_bits)?;
    if !reduced && obu.flag()? {
        obu.skip(7)?; // frame ids
    }
    obu.skip(3)?;
    if !reduced {
        obu.skip(4)?;
        let order_hint = obu.flag()?;
        if order_hint {
            obu.skip(2)?;
        }
        let screen_content = obu.flag()? || obu.flag()?;
        if screen_content && !obu.flag()? {
            obu.skip(1)?;
        }
        if order_hint {
            obu.skip(3)?;
        }
    }
    obu.skip(3)?;
    let deep = obu.flag()?;
    if profile == 2 && deep {
        obu.skip(1)?;
    }
    if profile != 1 {
        obu.skip(1)?; // mono_chrome
    }
    if !obu.flag()? {
        return None;
    }
    obu.skip(8)?; // color_primaries
    obu.take(8)
}

fn av1_operating_points(obu: &mut Bits<'_>) -> Option<()> {
    let mut delay_bits = None;
    if obu.flag()? {
        obu.skip(64)?;
        if obu.flag()? {
            obu.golomb()?; // uvlc is coded alike
        }
        if obu.flag()? {
            delay_bits = Some(obu.take(5)? + 1);
            obu.skip(42)?;
        }
    }
    let display_delays = obu.flag()?;
    for _ in 0..=obu.take(5)? {
        obu.skip(12)?;
        if obu.take(5)? > 7 {
            obu.skip(1)?;
        }
        if let Some(bits) = delay_bits
            && obu.flag()?
        {
            obu.skip(2 * bits + 1)?;
        }
        if display_delays && obu.flag()? {
            obu.skip(4)?;
        }
    }
    Some(())
}

/// A NAL unit without the bytes that keep start codes out of it.
fn unescaped(nal: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(nal.len());
    let mut zeros = 0;
    for byte in nal {
        if zeros >= 2 && *byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        out.push(*byte);
    }
    out
}

/// Bits, most significant first; `None` at the end.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn flag(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// An unsigned number of up to 32 bits.
    fn take(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u32::from(self.flag()?);
        }
        Some(value)
    }

    fn skip(&mut self, count: u32) -> Option<()> {
        self.at += count as usize;
        (self.at <= self.bytes.len() * 8).then_some(())
    }

    /// An Exp-Golomb code.
    fn golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let rest = self.take(zeros)?;
        Some((1 << zeros) - 1 + rest)
    }

    fn golombs(&mut self, count: u32) -> Option<()> {
        (0..count).try_for_each(|_| self.golomb().map(drop))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::media::cmaf::testing::boxed;

    // What x264, x265 and SVT-AV1 wrote for BT.2020 with the PQ curve, the PQ
    // curve and hybrid log-gamma.
    const AVC: &str = concat!(
        "0164000cffe1001c6764000cacd941419f9f016a122012800000030080000019078a14cb0100",
        "0668ebe3cb22c0fdf8f800",
    );
    const HEVC: &str = concat!(
        "0102200000009000000000003cf000fcfdfafa00000f02a00001001840010c01ffff02200000",
        "030090000003000003003c959809a10001002d42010102200000030090000003000003003ca0",
        "0a080b9f6d96566924caf016a122012080000003008000000c84",
    );
    const AV1: &str = "81004c000a0e000000043cfecc02f85091209040";

    fn bytes(hex: &str) -> Vec<u8> {
        let pairs = hex.as_bytes().chunks(2);
        let pair = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        pairs.map(pair).collect()
    }

    fn of(name: &[u8; 4], config: &[u8]) -> Option<Transfer> {
        let config = boxed(name, &[config]);
        of_config(&Reader::new(&config, 0).child().unwrap().unwrap())
    }

    #[test]
    fn itu_t_h264_and_h265_annex_e_video_usability_information() {
        assert_eq!(of(b"avcC", &bytes(AVC)), Some(Transfer::Pq));
        assert_eq!(of(b"hvcC", &bytes(HEVC)), Some(Transfer::Pq));
        let plain = [1, 0x64, 0, 0x1f, 0xff, 0xe0];
        assert_eq!(of(b"avcC", &plain), None, "no SPS");
    }

    #[test]
    fn av1_section_5_5_2_color_config() {
        assert_eq!(of(b"av1C", &bytes(AV1)), Some(Transfer::Hlg));
        assert_eq!(of(b"av1C", &bytes(AV1)[..4]), None, "no sequence header");
    }

    #[test]
    fn vp_codec_binding_transfer_characteristics() {
        let config = |transfer| [1, 0, 0, 0, 2, 10, 0xa2, 9, transfer, 9, 0, 0];
        assert_eq!(of(b"vpcC", &config(16)), Some(Transfer::Pq));
        assert_eq!(of(b"vpcC", &config(1)), Some(Transfer::Sdr));
        assert_eq!(of(b"vpcC", &config(2)), None);
    }

    #[test]
    fn configurations_that_end_early_say_nothing() {
        for (name, whole) in [(b"avcC", AVC), (b"hvcC", HEVC), (b"av1C", AV1)] {
            let whole = bytes(whole);
            for len in 0..whole.len() / 2 {
                assert_eq!(of(name, &whole[..len]), None);
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(config in proptest::collection::vec(any::<u8>(), 0..200)) {
            for name in [b"avcC", b"hvcC", b"av1C", b"vpcC"] {
                of(name, &config);
            }
        }

        #[test]
        fn any_damage_is_taken(at in 0usize..400, with in any::<u8>()) {
            for (name, whole) in [(b"avcC", AVC), (b"hvcC", HEVC), (b"av1C", AV1)] {
                let mut config = bytes(whole);
                let len = config.len();
                config[at % len] = with;
                of(name, &config);
            }
        }
    }
}
