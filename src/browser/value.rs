//! A response as body.js writes it down, read into the core's tree of plain values.

use crate::core::decimal::digits;
use crate::core::text::{cut, part};
use crate::core::value::Value;
use alloc::string::String;
use alloc::vec::Vec;

/// Reads the value that stands at the front: its words end with NUL, the first character of each tells the kind. A
/// number comes as the bits of its double, an array and an object with the count of what follows.
pub fn read(words: &mut &str) -> Value {
    let word = take(words);
    let rest = part(word, 1, word.len());
    let number = digits(rest).unwrap_or(0);
    match word.as_bytes().first() {
        Some(b's') => Value::String(rest.into()),
        Some(b'n') => Value::Number(f64::from_bits(number)),
        Some(b't') => Value::Bool(true),
        Some(b'f') => Value::Bool(false),
        Some(b'a') => {
            let mut items = Vec::new();
            for _ in 0..number {
                items.push(read(words));
            }
            Value::Array(items)
        }
        Some(b'o') => {
            let mut members = Vec::new();
            for _ in 0..number {
                members.push((String::from(take(words)), read(words)));
            }
            Value::Object(members)
        }
        _ => Value::Null,
    }
}

fn take<'a>(words: &mut &'a str) -> &'a str {
    let (word, rest) = cut(words, 0);
    *words = rest;
    word
}
