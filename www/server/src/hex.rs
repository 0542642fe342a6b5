//! Lower-case hexadecimal text, and random text in it: usernames, credentials, keys and session ids are all of this form.

use ring::rand::{SecureRandom, SystemRandom};

pub fn encode(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

pub fn decode(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect();
    let digits = digits?;
    if digits.len() % 2 != 0 {
        return None;
    }
    Some(
        digits
            .chunks_exact(2)
            .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
            .collect(),
    )
}

/// Two characters for each of `bytes` random bytes.
pub fn random(bytes: usize) -> Result<String, ring::error::Unspecified> {
    let mut buffer = vec![0; bytes];
    SystemRandom::new().fill(&mut buffer)?;
    Ok(encode(&buffer))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes_to_the_same_bytes() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&bytes)), Some(bytes));
    }

    #[test]
    fn odd_length_and_other_characters_do_not_decode() {
        assert_eq!(decode("abc"), None);
        assert_eq!(decode("zz"), None);
    }

    #[test]
    fn random_text_has_two_characters_a_byte_and_differs_each_time() {
        let (first, second) = (random(48).unwrap(), random(48).unwrap());
        assert_eq!(first.len(), 96);
        assert_ne!(first, second);
    }
}
