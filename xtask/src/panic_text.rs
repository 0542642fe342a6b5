//! What only the message of a panic would say. The module's panic handler ends it without a word (src/runtime.rs), so nobody reads
//! these texts; the linker keeps them all the same. As zeros they take no room: wasm-opt leaves zeros out.

/// A standard library's file begins with this, in all builds of it.
const PATH: &[u8] = b"/rustc/";
const PATH_END: &[u8] = b".rs";

/// What the allocating parts of the standard library say.
const MESSAGES: [&[u8]; 3] = [
    b"capacity overflow",
    b"memory allocation of ",
    b" bytes failed",
];

/// A name that all functions have in them which write numbers: they read [`digits`].
const WRITERS: &str = "4core3fmt";

/// A module with zeros where those texts are.
pub fn blanked(mut module: Vec<u8>) -> Vec<u8> {
    let digits = digits();
    for text in MESSAGES.into_iter().chain([digits.as_slice()]) {
        blank(&mut module, text, |_| Some(text.len()));
    }
    blank(&mut module, PATH, |rest| {
        let visible = rest.iter().take_while(|byte| byte.is_ascii_graphic());
        let path = rest.get(..visible.count()).unwrap_or_default();
        end_of(path, PATH_END)
    });
    module
}

/// Whether the functions that these lines name, `index:name` each, may read the digits.
pub fn is_read(symbols: &str) -> bool {
    symbols.contains(WRITERS)
}

/// Two by two: "000102…99".
fn digits() -> Vec<u8> {
    (0..100)
        .flat_map(|number| format!("{number:02}").into_bytes())
        .collect()
}

/// Fills each text that begins like this with zeros, as far as `length` finds it to go; leaves it if that finds none.
fn blank(module: &mut [u8], beginning: &[u8], length: impl Fn(&[u8]) -> Option<usize>) {
    let mut rest = module;
    while let Some(end) = end_of(rest, beginning) {
        rest = rest.split_at_mut(end - beginning.len()).1;
        let length = length(rest);
        let (text, after) = rest.split_at_mut(length.unwrap_or(beginning.len()));
        if length.is_some() {
            text.fill(0);
        }
        rest = after;
    }
}

/// Where the first occurrence of `wanted` ends.
fn end_of(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let at = bytes
        .windows(wanted.len())
        .position(|window| window == wanted)?;
    Some(at + wanted.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(before: &str) -> String {
        String::from_utf8(blanked(before.into())).unwrap()
    }

    #[test]
    fn only_what_a_panic_says_is_blanked() {
        let digits = String::from_utf8(digits()).unwrap();
        assert_eq!(
            (digits.len(), &digits[..6], &digits[196..]),
            (200, "000102", "9899")
        );
        for (before, blank) in [
            ("capacity overflow", 17),
            (digits.as_str(), 200),
            ("/rustc/ac68/library/alloc/src/alloc.rs", 38),
            // Another text may begin right after it.
            (
                "/rustc/ac68/library/alloc/src/raw_vec/mod.rs\0/rustc/ac68/library/alloc/src/alloc.rs",
                44 + 1 + 38,
            ),
        ] {
            let zeros = "\0".repeat(blank);
            assert_eq!(after(before), zeros);
            assert_eq!(
                after(&format!("a{before}\u{1}b")),
                format!("a{zeros}\u{1}b")
            );
        }
        for other in [
            "",
            "capacity",
            "/rustc/",
            "/rustc/ no path.rs",
            "00010203",
            "relay",
        ] {
            assert_eq!(after(other), other);
        }
    }

    #[test]
    fn functions_that_write_numbers_are_known_by_their_names() {
        assert!(is_read(
            "0:memcpy\n1:_RNvMNtNtNtCs1CYXbLPYCFn_4core3fmt3num3impj10__fmt_inner\n"
        ));
        assert!(is_read(
            "0:_ZN4core3fmt9Formatter12pad_integral17h5b8d5a2c1a3ee4b0E\n"
        ));
        assert!(!is_read("0:memcpy\n1:_ZN4core3ptr10drop_in_place\n"));
    }
}
