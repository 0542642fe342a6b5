//! Bytes as text for a JavaScript string literal, which pkg/inline.js reads back.
//!
//! Base64 lets each character hold parts of two bytes, and so hides from a compressor what repeats: the module weighs a
//! quarter more after brotli. Here a byte is one character or two, always the same ones. All are printable ASCII that a
//! literal holds as they are, so that nothing is escaped, by any bundler, in any character set.

/// How many bytes are one character, the smallest ones, which WebAssembly has most of. A greater byte is one of the two
/// characters left, which says how often this is to be added, and the character of the rest.
const SINGLE: u8 = 91;

pub fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 5 / 4);
    for byte in bytes {
        let (times, rest) = (byte / SINGLE, byte % SINGLE);
        if times > 0 {
            text.push(character(SINGLE + times - 1));
        }
        text.push(character(rest));
    }
    text
}

/// The printable characters in order, without `"` and `\`.
fn character(index: u8) -> char {
    let code = index + b' ';
    let code = code + u8::from(code >= b'"');
    char::from(code + u8::from(code >= b'\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As pkg/inline.js does it.
    fn bytes(text: &str) -> Vec<u8> {
        let mut add = 0;
        let mut bytes = Vec::new();
        for code in text.bytes() {
            let index = code - 32 - u8::from(code > 34) - u8::from(code > 92);
            if index < SINGLE {
                bytes.push(add + index);
                add = 0;
            } else {
                add = SINGLE * (index - SINGLE + 1);
            }
        }
        bytes
    }

    #[test]
    fn every_byte_is_read_back_after_every_other() {
        let all: Vec<u8> = (0..=u8::MAX)
            .flat_map(|first| (0..=u8::MAX).flat_map(move |second| [first, second]))
            .collect();
        assert_eq!(bytes(&text(&all)), all);
    }

    #[test]
    fn a_literal_holds_every_character_as_it_is() {
        let all: Vec<u8> = (0..=u8::MAX).collect();
        assert!(
            text(&all)
                .chars()
                .all(|c| matches!(c, ' '..='~') && c != '"' && c != '\\')
        );
    }

    #[test]
    fn a_small_byte_is_one_character_and_a_great_one_two() {
        assert_eq!(text(&[0, 1, 2, 90]), " !#|");
        assert_eq!(text(&[91, 181, 182, 255]), "} }|~ ~k");
    }
}
