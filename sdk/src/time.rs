//! Dates as vendors write them in mail and HTTP headers (RFC 2822, RFC 9110) and in JSON (RFC 3339), as
//! milliseconds since 1970.
//!
//! Own code rather than a calendar library: the smallest one measured added 100 KB to a component, and these
//! forms need neither time zones nor a calendar before 1970.
//!
//! ```
//! use trunnion_sdk::time::{parse_rfc2822, parse_rfc3339};
//!
//! assert_eq!(parse_rfc2822("Tue, 06 Jan 2026 10:30:00 +0100"), Some(1_767_691_800_000));
//! assert_eq!(parse_rfc2822("Tue, 06 Jan 2026 09:30:00 GMT"), Some(1_767_691_800_000));
//! assert_eq!(parse_rfc2822("2026-01-06"), None);
//! assert_eq!(parse_rfc3339("2026-01-06T10:30:00+01:00"), Some(1_767_691_800_000));
//! assert_eq!(parse_rfc3339("2026-01-06"), None);
//! ```

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// Milliseconds since 1970 of a date such as `Tue, 06 Jan 2026 10:30:00 +0100`; none for anything else, and
/// for times before 1970.
#[must_use]
pub fn parse_rfc2822(text: &str) -> Option<u64> {
    let text = text.trim();
    let date = text.split_once(',').map_or(text, |(_weekday, date)| date);
    let mut words = date.split_ascii_whitespace();
    let (day, month, year) = (words.next()?, words.next()?, words.next()?);
    let (time, zone) = (words.next()?, words.next()?);
    if words.next().is_some() {
        return None;
    }
    let day = number(day, 1..=2, 31)?;
    let month = MONTHS.iter().position(|name| month.eq_ignore_ascii_case(name))?;
    let year = number(year, 4..=4, 9999)?;
    let days = days_since_1970(year, i64::try_from(month).ok()? + 1, day)?;
    let seconds = days * 86_400 + seconds_of_day(time)? - offset_seconds(zone)?;
    u64::try_from(seconds).ok()?.checked_mul(1000)
}

/// Milliseconds since 1970 of a time such as `2026-01-06T10:30:00.250+01:00`; none for anything else, and for
/// times before 1970.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    let text = text.trim();
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let zone = time.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = time.split_at_checked(zone)?;
    let mut parts = date.split('-');
    let year = number(parts.next()?, 4..=4, 9999)?;
    let month = number(parts.next()?, 2..=2, 12).filter(|month| *month > 0)?;
    let day = number(parts.next()?, 2..=2, 31)?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    if parts.next().is_some() || time.len() != 8 || fraction.is_empty() {
        return None;
    }
    let seconds = days_since_1970(year, month, day)? * 86_400 + seconds_of_day(time)? - zone_seconds(zone)?;
    u64::try_from(seconds).ok()?.checked_mul(1000)?.checked_add(milliseconds(fraction)?)
}

/// The second in which this moment lies, as in `2026-01-06T09:30:00Z`: what listings since a time are asked with, where
/// the part of a second that is left out only makes them begin a little earlier.
///
/// ```
/// assert_eq!(trunnion_sdk::time::rfc3339(1_767_691_800_250), "2026-01-06T09:30:00Z");
/// ```
#[must_use]
pub fn rfc3339(ms: u64) -> String {
    let seconds = ms / 1000;
    // Years begin in March here, so that a leap day is the last of its year: eras are of 400 years.
    let days = seconds / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The first three digits of a fraction; the rest has to be digits too.
fn milliseconds(fraction: &str) -> Option<u64> {
    let digits = fraction.bytes().map(|byte| byte.is_ascii_digit().then(|| u64::from(byte - b'0')));
    let digits = digits.collect::<Option<Vec<_>>>()?;
    Some(digits.iter().chain(&[0, 0]).take(3).fold(0, |ms, digit| ms * 10 + digit))
}

/// `Z`, or an offset with a colon.
fn zone_seconds(zone: &str) -> Option<i64> {
    match zone.split_once(':') {
        Some((hours, minutes)) if hours.len() == 3 => offset_seconds(&format!("{hours}{minutes}")),
        _ => zone.eq_ignore_ascii_case("z").then_some(0),
    }
}

/// Digits only: `parse` alone would take a sign.
fn number(text: &str, digits: std::ops::RangeInclusive<usize>, max: i64) -> Option<i64> {
    if !digits.contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|number| *number <= max)
}

fn seconds_of_day(time: &str) -> Option<i64> {
    let mut parts = time.split(':');
    let hours = number(parts.next()?, 2..=2, 23)?;
    let minutes = number(parts.next()?, 2..=2, 59)?;
    // 60 is a leap second, which counts as the next second.
    let seconds = parts.next().map_or(Some(0), |seconds| number(seconds, 2..=2, 60))?;
    parts.next().is_none().then_some(hours * 3600 + minutes * 60 + seconds)
}

fn offset_seconds(zone: &str) -> Option<i64> {
    if ["GMT", "UTC", "UT", "Z"].iter().any(|name| zone.eq_ignore_ascii_case(name)) {
        return Some(0);
    }
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = digits.split_at_checked(2)?;
    Some(sign * (number(hours, 2..=2, 23)? * 3600 + number(minutes, 2..=2, 59)? * 60))
}

/// Howard Hinnant's `days_from_civil`, for years from 1970.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if year < 1969 || !(1..=longest).contains(&day) {
        return None;
    }
    // Years begin in March, so that the leap day is the last of its year.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 +0000", 0),
            ("1 Jan 1970 00:00 Z", 0),
            ("Thu, 29 Feb 2024 23:59:59 +0000", 1_709_251_199),
            ("Fri, 01 Mar 2024 00:00:00 UTC", 1_709_251_200),
            ("Tue, 31 Dec 2024 19:00:00 -0500", 1_735_689_600),
            ("Wed, 01 Jan 2025 05:30:00 +0530", 1_735_689_600),
            ("tue, 28 feb 2100 12:00:00 gmt", 4_107_499_200),
        ] {
            assert_eq!(parse_rfc2822(text), Some(seconds * 1000), "{text}");
        }
    }

    #[test]
    fn known_times() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2024-02-29T23:59:59+00:00", 1_709_251_199_000),
            ("2024-12-31t19:00:00-05:00", 1_735_689_600_000),
            ("2025-01-01 05:30:00.5+05:30", 1_735_689_600_500),
            ("2025-01-01T00:00:00.1239z", 1_735_689_600_123),
            ("2025-01-01T00:00:00.05Z", 1_735_689_600_050),
        ] {
            assert_eq!(parse_rfc3339(text), Some(ms), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for day in
            (0..60_000).step_by(7).chain([0, 58, 59, 60, 11_016, 11_017, 19_781, 19_782, 47_540, 47_541])
        {
            let ms = day * 86_400_000 + day % 86_400 * 1_000;
            assert_eq!(parse_rfc3339(&rfc3339(ms)), Some(ms), "{day}: {}", rfc3339(ms));
        }
        assert_eq!(rfc3339(1_709_164_799_999), "2024-02-28T23:59:59Z");
        assert_eq!(rfc3339(1_709_164_800_000), "2024-02-29T00:00:00Z");
    }

    #[test]
    fn any_other_time_is_none() {
        for text in [
            "",
            "2026-01-06",
            "2026-01-06T09:30:00",
            "2026-01-06T09:30Z",
            "2026-01-06T09:30:00.Z",
            "2026-01-06T09:30:00.1x5Z",
            "2026-01-06T24:00:00Z",
            "2026-00-06T09:30:00Z",
            "2026-13-06T09:30:00Z",
            "2026-02-29T09:30:00Z",
            "2026-1-06T09:30:00Z",
            "2026-01-06-01T09:30:00Z",
            "2026-01-06T09:30:00+0100",
            "2026-01-06T09:30:00+01:0",
            "2026-01-06T09:30:00+é1:00",
            "1969-12-31T23:59:59Z",
            "Tue, 06 Jan 2026 09:30:00 +0000",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn anything_else_is_none() {
        for text in [
            "",
            "Tue",
            "Tue, 06 Jan 2026",
            "Tue, 06 Jan 2026 09:30:00",
            "Tue, 06 Jan 2026 09:30:00 +0000 extra",
            "Tue, 06 Jan 2026 24:00:00 +0000",
            "Tue, 06 Jan 2026 09:60:00 +0000",
            "Tue, 06 Jan 2026 9:30:00 +0000",
            "Tue, 32 Jan 2026 09:30:00 +0000",
            "Tue, 29 Feb 2026 09:30:00 +0000",
            "Tue, 00 Jan 2026 09:30:00 +0000",
            "Tue, 06 Foo 2026 09:30:00 +0000",
            "Tue, 06 Jan 26 09:30:00 +0000",
            "Tue, +6 Jan 2026 09:30:00 +0000",
            "Tue, 06 Jan 2026 09:30:00 CEST",
            "Tue, 06 Jan 2026 09:30:00 +00é",
            "Wed, 31 Dec 1969 23:59:59 +0000",
        ] {
            assert_eq!(parse_rfc2822(text), None, "{text}");
        }
    }
}
