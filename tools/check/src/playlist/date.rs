//! Dates with time and zone (ISO 8601, as rfc8216bis section 4.4.4.6 has them).

/// Microseconds since 1970 of a date such as `2026-01-01T00:00:00.000Z`, and
/// whether it names its zone. One without counts as UTC.
pub fn parse(text: &str) -> Option<(i64, bool)> {
    let (date, time) = text.split_once(['T', 't'])?;
    let mut date = date.splitn(3, '-').map(|part| number(part, 4));
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let zone_at = time.find(['Z', 'z', '+', '-']);
    let (time, zone) = time.split_at(zone_at.unwrap_or(time.len()));
    let mut time = time.splitn(3, ':');
    let (hour, minute) = (number(time.next()?, 2)?, number(time.next()?, 2)?);
    let second = time.next()?;
    let (second, fraction) = second.split_once(['.', ',']).unwrap_or((second, ""));
    let second = number(second, 2)?;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    if hour > 24 || minute > 59 || second > 60 || fraction.len() > 9 {
        return None;
    }
    let fraction_us = match fraction {
        "" => 0,
        _ => number(&format!("{fraction:0<9}"), 9)? / 1000,
    };
    let offset_s = match zone {
        "" | "Z" | "z" => 0,
        _ => {
            let digits = zone[1..].replace(':', "");
            let minutes = match digits.len() {
                2 => number(&digits, 2)? * 60,
                4 => number(&digits[..2], 2)? * 60 + number(&digits[2..], 2)?,
                _ => return None,
            };
            if zone.starts_with('-') {
                -minutes * 60
            } else {
                minutes * 60
            }
        }
    };
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some((
        (seconds - offset_s) * 1_000_000 + fraction_us,
        !zone.is_empty(),
    ))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` in microseconds since 1970.
pub fn http(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let mut words = text.split_once(", ")?.1.split(' ');
    let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|known| *known == month)? + 1;
    parse(&format!("{year}-{month:02}-{day}T{time}Z")).map(|(us, _)| us)
}

fn number(text: &str, digits_max: usize) -> Option<i64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    (plain && (1..=digits_max).contains(&text.len())).then(|| text.parse().ok())?
}

/// Days from 1970 to a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March have their leap day at the end.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_in_every_zone() {
        let table = [
            ("1970-01-01T00:00:00Z", 0, true),
            ("2026-01-01T00:03:20.000Z", 1_767_225_800_000_000, true),
            ("2024-02-29T12:00:00.5+01:30", 1_709_202_600_500_000, true),
            ("2010-02-19T14:54:23.031+0800", 1_266_562_463_031_000, true),
            ("1970-01-01T00:00:01.25", 1_250_000, false),
        ];
        for (text, us, zoned) in table {
            assert_eq!(parse(text), Some((us, zoned)), "{text}");
        }
        for text in [
            "",
            "2026-01-01",
            "2026-13-01T00:00:00Z",
            "T",
            "2026-01-01T1:2:x",
            "-1-1-1T0:0:0Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn dates_of_http_are_read() {
        let us = http("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(us, Some(784_111_777_000_000));
        assert_eq!(http("yesterday"), None);
    }
}
