//! The two written forms of a moment that backends send: RFC 3339 in bodies, HTTP dates in `Retry-After`.

/// The parts of a written moment, by their digits in a pattern: year, month, day, hour, minute, second, and the hours
/// and minutes of the offset from UTC.
type Parts = [i64; 8];

/// Takes from the front of `text` what a pattern describes: a digit of the part that a digit names, one of `T`, `t` and
/// a space for `_`, and anything else as itself.
fn scan(text: &mut &[u8], pattern: &[u8], parts: &mut Parts) -> Option<()> {
    for wanted in pattern {
        let (byte, rest) = text.split_first()?;
        *text = rest;
        if let Some(part) = parts.get_mut(usize::from(wanted.wrapping_sub(b'0'))) {
            if !byte.is_ascii_digit() {
                return None;
            }
            *part = *part * 10 + i64::from(byte - b'0');
        } else if byte != wanted && (*wanted != b'_' || !b"Tt ".contains(byte)) {
            return None;
        }
    }
    Some(())
}

/// Seconds since the epoch; `None` for a date or a time that is not one. A leap second counts as the one before it.
fn seconds(parts: &Parts) -> Option<i64> {
    let [year, month, day, hour, minute, second, hours, minutes] = *parts;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = if month == 2 {
        28 + i64::from(leap)
    } else {
        // 31 and 30 take turns, and begin again in August.
        30 + ((month + month / 8) & 1)
    };
    if !(1..=12).contains(&month)
        || !(1..=length).contains(&day)
        || hour.max(hours) > 23
        || minute.max(minutes) > 59
        || second > 60
    {
        return None;
    }
    // Years that begin in March put the leap day last; 400 more of them (146 097 days) keep the numbers from being
    // negative. 719 468 days lie between 0000-03-01 and 1970-01-01.
    let y = year + 400 - i64::from(month < 3);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = 365 * y + y / 4 - y / 100 + y / 400 + day_of_year - 719_468 - 146_097;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second.min(59))
}

/// RFC 3339 section 5.6 `date-time`, any number of fraction digits: milliseconds since the epoch.
pub fn rfc3339(text: &str) -> Option<f64> {
    let text = &mut text.trim_ascii().as_bytes();
    let parts = &mut Parts::default();
    scan(text, b"0000-11-22_33:44:55", parts)?;
    let mut millis = 0;
    if let Some((b'.', fraction)) = text.split_first() {
        *text = fraction;
        let mut weight = 100;
        while let Some((digit @ b'0'..=b'9', rest)) = text.split_first() {
            millis += i64::from(digit - b'0') * weight;
            weight /= 10;
            *text = rest;
        }
        if text.len() == fraction.len() {
            return None;
        }
    }
    let (sign, rest) = text.split_first()?;
    *text = rest;
    let east = match sign {
        b'Z' | b'z' => 0,
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    if east != 0 {
        scan(text, b"66:77", parts)?;
    }
    let [.., hours, minutes] = *parts;
    let seconds = seconds(parts)? - east * (hours * 3600 + minutes * 60);
    text.is_empty().then_some((seconds * 1000 + millis) as f64)
}

/// RFC 9110 section 5.6.7, the form that senders must use (`Sun, 06 Nov 1994 08:49:37 GMT`): milliseconds since the
/// epoch.
pub fn http_date(text: &str) -> Option<f64> {
    let (_, text) = super::text::cut(text, b',');
    let text = &mut text.trim_ascii_end().as_bytes();
    let parts = &mut Parts::default();
    scan(text, b" 22 ", parts)?;
    let (name, rest) = text.split_at_checked(3)?;
    let month = b"JanFebMarAprMayJunJulAugSepOctNovDec"
        .chunks_exact(3)
        .position(|month| month == name)?;
    *text = rest;
    scan(text, b" 0000 33:44:55 GMT", parts)?;
    let [_, number, ..] = parts;
    *number = month as i64 + 1;
    let seconds = seconds(parts)?;
    text.is_empty().then_some((seconds * 1000) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_moments_are_read() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0.0),
            ("1985-04-12T23:20:50.52Z", 482_196_050_520.0),
            ("1996-12-19T16:39:57-08:00", 851_042_397_000.0),
            ("2021-11-10T21:39:39.3244584+00:00", 1_636_580_379_324.0),
            ("2024-02-29t00:00:00z", 1_709_164_800_000.0),
            ("1969-12-31T23:59:59.5Z", -500.0),
            ("2016-12-31 23:59:60Z", 1_483_228_799_000.0),
        ] {
            assert_eq!(rfc3339(text), Some(millis), "{text}");
        }
    }

    #[test]
    fn what_is_no_rfc3339_moment_is_refused() {
        for text in [
            "",
            "tomorrow",
            "2023-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-00-10T00:00:00Z",
            "2024-01-00T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00+0100",
            "2024-01-01T00:00:00Zx",
            "2024-01-01",
            "२०२४-01-01T00:00:00Z",
            "1700000000",
        ] {
            assert_eq!(rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn http_dates_are_read() {
        assert_eq!(
            http_date("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(784_111_777_000.0)
        );
        for text in [
            "",
            "Sun, 06 anF 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "120",
        ] {
            assert_eq!(http_date(text), None, "{text}");
        }
    }
}
