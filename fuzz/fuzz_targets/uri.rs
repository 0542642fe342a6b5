#![no_main]
#[path = "../checks.rs"]
#[allow(dead_code, reason = "the other target's")]
mod checks;
#[path = "../../tests/driver/words.rs"]
#[allow(dead_code, reason = "the other target's")]
mod words;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::uri(bytes));
