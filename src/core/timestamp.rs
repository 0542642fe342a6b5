//! The two written forms of a moment that backends send: RFC 3339 in bodies, HTTP dates in `Retry-After`.

use super::decimal;
/// Days from 1970-01-01 of a date of the proleptic Gregorian calendar; `None` for a day that is not one.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Years that begin in March put the leap day last.
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let day_of_year = (153 * m + 2) / 5 + day - 1;
    Some(365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + day_of_year - 719_468)
}

/// Reads exactly `count` digits and leaves the rest.
fn digits(text: &mut &str, count: usize) -> Option<i64> {
    let (head, tail) = text.split_at_checked(count)?;
    let number = decimal::digits(head)?;
    *text = tail;
    i64::try_from(number).ok()
}

/// Reads one of `choices` and leaves the rest.
fn literal(text: &mut &str, choices: &[char]) -> Option<char> {
    let first = text.chars().next().filter(|c| choices.contains(c))?;
    *text = text.get(first.len_utf8()..)?;
    Some(first)
}

/// `HH:MM:SS` as seconds. A leap second counts as the one before it.
fn time_of_day(text: &mut &str) -> Option<i64> {
    let hour = digits(text, 2).filter(|h| *h < 24)?;
    literal(text, &[':'])?;
    let minute = digits(text, 2).filter(|m| *m < 60)?;
    literal(text, &[':'])?;
    let second = digits(text, 2).filter(|s| *s <= 60)?.min(59);
    Some(hour * 3600 + minute * 60 + second)
}

/// RFC 3339 section 5.6 `date-time`, any number of fraction digits: milliseconds since the epoch.
pub fn rfc3339(text: &str) -> Option<f64> {
    let text = &mut text.trim();
    let year = digits(text, 4)?;
    literal(text, &['-'])?;
    let month = digits(text, 2)?;
    literal(text, &['-'])?;
    let day = digits(text, 2)?;
    literal(text, &['T', 't', ' '])?;
    let seconds = days(year, month, day)? * 86_400 + time_of_day(text)?;
    let mut millis = 0;
    if literal(text, &['.']).is_some() {
        let count = text.bytes().take_while(u8::is_ascii_digit).count();
        if count == 0 {
            return None;
        }
        let (fraction, rest) = text.split_at_checked(count)?;
        *text = rest;
        for (digit, weight) in fraction.bytes().zip([100, 10, 1]) {
            millis += i64::from(digit - b'0') * weight;
        }
    }
    let offset = match literal(text, &['Z', 'z', '+', '-'])? {
        'Z' | 'z' => 0,
        sign => {
            let hours = digits(text, 2).filter(|h| *h < 24)?;
            literal(text, &[':'])?;
            let minutes = digits(text, 2).filter(|m| *m < 60)?;
            let offset = hours * 3600 + minutes * 60;
            if sign == '-' { -offset } else { offset }
        }
    };
    text.is_empty()
        .then_some(((seconds - offset) * 1000 + millis) as f64)
}

/// RFC 9110 section 5.6.7, the form that senders must use (`Sun, 06 Nov 1994 08:49:37 GMT`): milliseconds since the
/// epoch.
pub fn http_date(text: &str) -> Option<f64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (_, text) = text.trim().split_once(',')?;
    let text = &mut &*text;
    literal(text, &[' '])?;
    let day = digits(text, 2)?;
    literal(text, &[' '])?;
    let (name, rest) = text.split_at_checked(3)?;
    let month = (1..).zip(MONTHS).find(|(_, month)| *month == name)?.0;
    *text = rest;
    literal(text, &[' '])?;
    let year = digits(text, 4)?;
    literal(text, &[' '])?;
    let seconds = days(year, month, day)? * 86_400 + time_of_day(text)?;
    (*text == " GMT").then_some((seconds * 1000) as f64)
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
