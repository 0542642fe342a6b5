//! Whole numbers as text. The formatting of the standard library would cost more than a tenth of the package.

use super::text::part;
use alloc::string::String;

/// The number in decimal.
pub fn decimal(number: u64) -> String {
    let mut text = if number > 9 {
        decimal(number / 10)
    } else {
        String::new()
    };
    let digit = (number % 10) as usize;
    text.push_str(part("0123456789", digit, digit + 1));
    text
}

/// The value of a text of digits alone; too large a number counts as the largest.
pub fn digits(text: &str) -> Option<u64> {
    let mut number = 0_u64;
    for byte in text.bytes() {
        if !byte.is_ascii_digit() {
            return None;
        }
        // Not saturating_mul: WebAssembly has no 128-bit product.
        number = if number > u64::MAX / 10 {
            u64::MAX
        } else {
            (number * 10).saturating_add(u64::from(byte - b'0'))
        };
    }
    (!text.is_empty()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_and_read_in_decimal() {
        for number in [0, 7, 10, 65_535, u64::MAX] {
            assert_eq!(decimal(number), number.to_string());
            assert_eq!(digits(&number.to_string()), Some(number));
        }
        assert_eq!(digits("99999999999999999999999"), Some(u64::MAX));
        for text in ["", "-1", "+1", "1.5", " 1", "१"] {
            assert_eq!(digits(text), None, "{text}");
        }
    }
}
