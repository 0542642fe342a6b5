//! JSON as browser/body.js writes it down for the core.

use serde_json::Value;

/// The moment of an RFC 3339 date and time (section 5.6), in milliseconds since the epoch: what `Date.parse` says.
fn moment(text: &str) -> Option<f64> {
    let (date, time) = text.split_at_checked(10)?;
    let digits = |text: &str| text.parse::<i64>().ok();
    let (year, month, day) = (
        digits(date.get(..4)?)?,
        digits(date.get(5..7)?)?,
        digits(date.get(8..)?)?,
    );
    let (clock, zone) = match time.strip_suffix('Z') {
        Some(clock) => (clock, "+00:00"),
        None => time.split_at_checked(time.len().checked_sub(6)?)?,
    };
    let clock: Vec<f64> = clock
        .strip_prefix('T')?
        .split(':')
        .map_while(|part| part.parse().ok())
        .collect();
    let [hours, minutes, seconds] = *clock else {
        return None;
    };
    let (east, west) = (digits(zone.get(..3)?)?, digits(zone.get(4..)?)?);
    let offset = (east * 60 + west * if east < 0 { -1 } else { 1 }) * 60_000;
    // Years that begin in March put the leap day last.
    let year = year - i64::from(month < 3);
    let days =
        365 * year + year / 4 - year / 100 + year / 400 + (153 * ((month + 9) % 12) + 2) / 5 + day
            - 719_469;
    let millis = ((hours * 60.0 + minutes) * 60.0 + seconds) * 1000.0;
    Some((days * 86_400_000 - offset) as f64 + millis.floor())
}

fn write(value: &Value, words: &mut String) {
    let word = |words: &mut String, mark: char, text: &str| {
        words.push(mark);
        words.push_str(&text.replace('\0', "\u{fffd}"));
        words.push('\0');
    };
    match value {
        Value::Null => word(words, 'z', ""),
        Value::Bool(true) => word(words, 't', ""),
        Value::Bool(false) => word(words, 'f', ""),
        Value::Number(number) => {
            let bits = number.as_f64().unwrap_or(f64::NAN).to_bits();
            word(words, 'n', &bits.to_string());
        }
        Value::String(text) => word(words, 's', text),
        Value::Array(items) => {
            word(words, 'a', "");
            for item in items {
                write(item, words);
            }
            word(words, 'e', "");
        }
        Value::Object(members) => {
            word(words, 'o', "");
            for (name, member) in members {
                word(words, 'k', name);
                let is_moment = name.to_ascii_lowercase().starts_with("expires");
                match member.as_str().and_then(moment).filter(|_| is_moment) {
                    Some(millis) => write(&millis.into(), words),
                    None => write(member, words),
                }
            }
            word(words, 'e', "");
        }
    }
}

/// The words of a JSON text; `None` for what is none.
pub fn words(json: &str) -> Option<String> {
    let mut words = String::new();
    write(&serde_json::from_str(json).ok()?, &mut words);
    Some(words)
}
