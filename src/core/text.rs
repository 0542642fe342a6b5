//! Pieces of text, put together and taken apart by bytes. The standard library's ways through patterns, iterators and
//! formatting would cost several times as much code. What is not inlined in WebAssembly is so for the module's size alone.

use alloc::string::String;

/// The pieces, one after the other.
pub fn concat(pieces: &[&str]) -> String {
    let mut text = String::new();
    for piece in pieces {
        text.push_str(piece);
    }
    text
}

/// What stands from `start` up to `end`; nothing if these are no places between characters.
#[cfg_attr(target_arch = "wasm32", inline(never))]
pub fn part(text: &str, start: usize, end: usize) -> &str {
    text.get(start..end).unwrap_or_default()
}

/// Where an ASCII character stands first.
#[cfg_attr(target_arch = "wasm32", inline(never))]
pub fn find(text: &str, wanted: u8) -> Option<usize> {
    text.bytes().position(|byte| byte == wanted)
}

/// What stands before and after the first `separator`, an ASCII character; all of it and nothing if there is none.
#[cfg_attr(target_arch = "wasm32", inline(never))]
pub fn cut(text: &str, separator: u8) -> (&str, &str) {
    let place = find(text, separator).unwrap_or(text.len());
    (part(text, 0, place), part(text, place + 1, text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_the_first_separator() {
        assert_eq!(cut("a:b:c", b':'), ("a", "b:c"));
        assert_eq!(cut("ä:", b':'), ("ä", ""));
        assert_eq!(cut("abc", b':'), ("abc", ""));
        assert_eq!(cut("", b':'), ("", ""));
        assert_eq!(find("a:b:c", b':'), Some(1));
        assert_eq!(part("äb", 1, 3), "");
        assert_eq!(concat(&["a", "", "bc"]), "abc");
    }
}
