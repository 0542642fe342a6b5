//! Anything at all as a URI or a response: no panic, no hang, time and memory in proportion to the input, no secret told.
//! fuzz/ looks for more of the same for as long as one lets it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "../fuzz/checks.rs"]
mod checks;
#[path = "driver/words.rs"]
mod words;

use proptest::prelude::*;
use serde_json::{Map, Value as Json};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use turn_wasm::core::random::Random;
use turn_wasm::core::response;
use turn_wasm::core::uri::IceUri;
use turn_wasm::core::value::Value;

// ---- memory -----------------------------------------------------------------------------------------------------------

thread_local! {
    /// Bytes that this thread holds now, and the most since it was last set.
    static HELD: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

struct Counting;

fn count(change: impl Fn(usize) -> usize) {
    // While a thread ends there is nothing to count any more.
    let _ = HELD.try_with(|held| {
        let (now, most) = held.get();
        let now = change(now);
        held.set((now, most.max(now)));
    });
}

// SAFETY: all of it is the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(|now| now + layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(|now| now.saturating_sub(layout.size()));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most memory that is held at once while `work` runs, in bytes, with what it returns.
fn memory<T>(work: impl FnOnce() -> T) -> usize {
    let before = HELD.get().0;
    HELD.set((before, before));
    let result = work();
    let most = HELD.get().1;
    drop(result);
    most - before
}

/// What reading may hold: less than 4 times the input, or what 64 URLs take.
fn most_memory(input: usize) -> usize {
    (4 * input).max(16 << 10)
}

// ---- inputs -----------------------------------------------------------------------------------------------------------

/// Texts that grow in the ways that could cost more than their length.
fn long_uris(length: usize) -> Vec<String> {
    let repeated = |piece: &str| piece.repeat(length / piece.len());
    let pieces = [
        "a",
        ":",
        "@",
        "[",
        "]",
        "%",
        "?",
        "/",
        ".",
        "turn:",
        "?transport=udp",
        ":1",
        "\u{0}",
        " ",
        "ü",
        "S",
        "0",
    ];
    let mut texts = Vec::new();
    for piece in pieces {
        for before in ["", "turn:", "turn:[", "turn:a:", "turn:a?", "stun:a?"] {
            texts.push(format!("{before}{}", repeated(piece)));
        }
    }
    texts
}

fn long_words(length: usize) -> Vec<String> {
    let repeated = |before: &str, piece: &str, after: &str| {
        let text = format!("{before}{}{after}", piece.repeat(length / piece.len()));
        // A space stands for the end of a word.
        text.replace(' ', "\0")
    };
    let entry = "kusername su kcredential sc";
    vec![
        repeated("", "a ", ""),
        repeated("", "o kv ", ""),
        repeated("", "o kiceServers ", ""),
        repeated("", "a o kiceServers ", ""),
        repeated("", "o kiceServers a o kurls ", ""),
        repeated("", "e ", ""),
        repeated("", " ", ""),
        repeated("", "k ", ""),
        repeated("a ", "z ", "e "),
        repeated("a ", "o e ", "e "),
        repeated("a ", "o kurls a e e ", "e "),
        repeated("a ", "o kurls sstun:a e ", "e "),
        repeated("a ", "o kurls sstun:a:0 kcredential sc e ", "e "),
        repeated("a o kurls a ", "sturn:a ", &format!("e {entry} e e ")),
        repeated("a o kurls a ", "sturn:a:6666 ", &format!("e {entry} e e ")),
        repeated("a o kurls a ", "n1 ", "e e e "),
        repeated("a o kurls a ", "a ", "e e e "),
        repeated("o ", "kiceServers a o kurls sstun:a e e ", "e "),
        repeated("o ", "kv o kiceServers a e e ", "e "),
        repeated("o ", "kv o kv o kv o kv o e e e e e ", "e "),
        repeated("o ", "kttl n1 kexpiresAt n1 ", "e "),
        repeated("o ", "k____________________________________ z ", "e "),
        repeated("o k", "_", " z e "),
        repeated("a o kurls sturn:", "a", &format!(" {entry} e e ")),
        repeated("a o kurls sturn:a@", "b", &format!(" {entry} e e ")),
        repeated("a o kurls s", "\u{1}", &format!(" {entry} e e ")),
        repeated("a o kurls sturn:a kusername s", "u", " kcredential sc e e "),
        repeated("a o kurls sturn:a kusername su kcredential s", "c", " e e "),
        repeated("a o kurls sstun:a kttl s", "1", " e e "),
        repeated("a o kurls sstun:a kttl n", "1", " e e "),
    ]
}

fn read(words: &str) -> bool {
    response::read(&Value::new(words)).is_ok()
}

// ---- time and memory ----------------------------------------------------------------------------------------------------

/// The shortest of three runs: another process may have had the processor in the others.
fn shortest(work: impl Fn()) -> Duration {
    let run = || {
        let began = Instant::now();
        work();
        began.elapsed()
    };
    (0..3).map(|_| run()).min().unwrap()
}

/// 64 times the input takes no more than 640 times the time: a quadratic one would take 4096.
fn assert_linear(short: &[String], long: &[String], work: impl Fn(&str)) {
    for (short, long) in short.iter().zip(long) {
        let limit = shortest(|| work(short)).max(Duration::from_micros(500)) * 640;
        let took = shortest(|| work(long));
        let shown: String = long.chars().take(60).collect();
        assert!(
            took <= limit,
            "{shown:?}…: {took:?} for {} bytes, {limit:?} is the limit",
            long.len()
        );
    }
}

#[test]
fn the_time_to_parse_a_uri_grows_with_its_length_and_no_faster() {
    assert_linear(&long_uris(1 << 14), &long_uris(1 << 20), |text| {
        let _ = text.parse::<IceUri>();
    });
}

#[test]
fn the_time_to_read_a_response_grows_with_its_length_and_no_faster() {
    assert_linear(&long_words(1 << 14), &long_words(1 << 20), |words| {
        read(words);
    });
}

#[test]
fn what_is_read_takes_less_than_four_times_the_memory_of_the_input() {
    for length in [1 << 4, 1 << 8, 1 << 12, 1 << 16, 1 << 20] {
        for text in long_uris(length) {
            let held = memory(|| text.parse::<IceUri>());
            assert!(
                held <= most_memory(text.len()).min(4 * text.len() + 256),
                "{held} bytes for a URI of {}",
                text.len()
            );
        }
        for words in long_words(length) {
            let held = memory(|| response::read(&Value::new(&words)));
            let shown: String = words.chars().take(60).collect();
            assert!(
                held <= most_memory(words.len()),
                "{held} bytes for {} of {shown:?}…",
                words.len()
            );
        }
    }
}

#[test]
fn the_counting_allocator_counts() {
    assert!((1000..2000).contains(&memory(|| vec![0_u8; 1000])));
    assert!((3000..4000).contains(&memory(|| (vec![0_u8; 1000], vec![0_u8; 2000]))));
    // What was given back before it ended counts as well.
    assert!(memory(|| drop(vec![0_u8; 5000])) >= 5000);
}

// ---- mutations ----------------------------------------------------------------------------------------------------------

fn fixtures(folder: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(folder);
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let texts: Vec<String> = files
        .filter_map(|path| fs::read_to_string(path).ok())
        .collect();
    assert!(!texts.is_empty());
    texts
}

/// The bytes with a few changes: some taken out, some put in, some turned into others, a piece of another text.
fn mutated(bytes: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    const SIGNS: &[u8] = b"\0\n \"\\%/:;?@[]{},.0123456789-_aeknostzT\x7f\xc3\xff";
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.up_to(4) {
        let place = random.up_to(bytes.len() as u64) as usize;
        let length = random.up_to(8) as usize;
        let end = (place + length).min(bytes.len());
        let sign = SIGNS[random.up_to(SIGNS.len() as u64 - 1) as usize];
        match random.up_to(3) {
            0 => drop(bytes.drain(place..end)),
            1 => bytes.insert(place, sign),
            2 => bytes[place..end].fill(sign),
            _ => {
                let from = random.up_to(other.len() as u64) as usize;
                let piece = &other[from..other.len().min(from + 64)];
                bytes.splice(place..end, piece.iter().copied());
            }
        }
    }
    bytes
}

/// As many rounds as `TURN_WASM_MUTATIONS` says.
fn rounds() -> u64 {
    std::env::var("TURN_WASM_MUTATIONS").map_or(20_000, |rounds| rounds.parse().unwrap())
}

#[test]
fn mutated_uris_are_accepted_or_refused_in_order() {
    let table: Json = serde_json::from_str(&fixtures(".")[0]).unwrap();
    let groups = table.as_object().unwrap().values();
    let uris: Vec<&str> = groups
        .flat_map(|group| group.as_array().unwrap())
        .map(|row| row["uri"].as_str().unwrap())
        .collect();
    let mut random = Random::new(1);
    for _ in 0..rounds() {
        let [one, other] =
            [(); 2].map(|()| uris[random.up_to(uris.len() as u64 - 1) as usize].as_bytes());
        checks::uri(&mutated(one, other, &mut random));
    }
}

#[test]
fn mutated_responses_are_accepted_or_refused_in_order() {
    let seeds: Vec<String> = fixtures("responses")
        .iter()
        .map(|text| serde_json::from_str::<Json>(text).unwrap()["response"].to_string())
        .flat_map(|json| [words::words(&json).unwrap(), json])
        .collect();
    let mut random = Random::new(2);
    let mut good = 0;
    for _ in 0..rounds() {
        let [one, other] =
            [(); 2].map(|()| seeds[random.up_to(seeds.len() as u64 - 1) as usize].as_bytes());
        let bytes = mutated(one, other, &mut random);
        good += u32::from(read(&String::from_utf8_lossy(&bytes)));
        checks::response(&bytes);
    }
    assert!(good > 100, "only {good} were still responses");
}

// ---- properties ---------------------------------------------------------------------------------------------------------

/// Never to be seen in a print of anything.
const SECRET: &str = "hunter2";

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => prop::sample::select(vec![
            "turn:a", "turns:a:443?transport=tcp", "turn:[::1]?transport=udp", "stun:b:53", "stun:b?transport=udp",
            "stuns:c", "turn:d:6666", "turn:d:0", "http://e", "turn:hunter2@f", "", "86400s", "60", "0",
            "1700000000:x", "2023-11-14T22:13:20Z", "hunter2", "a-hunter2",
        ]).prop_map(String::from),
        1 => ".{0,20}",
    ]
}

fn any_json() -> impl Strategy<Value = Json> {
    const NAMES: [&str; 20] = [
        "iceServers",
        "ice_servers",
        "IceServerList",
        "stunservers",
        "turnServers",
        "v",
        "ocs",
        "data",
        "urls",
        "url",
        "Uris",
        "username",
        "Username",
        "credential",
        "password",
        "ttl",
        "Ttl",
        "lifetimeDuration",
        "expiresAt",
        "x",
    ];
    let leaf = prop_oneof![
        6 => any_text().prop_map(Json::from),
        1 => any::<f64>().prop_map(Json::from),
        1 => (-10_i64..100_000).prop_map(Json::from),
        1 => any::<bool>().prop_map(Json::from),
        1 => Just(Json::Null),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        let name = prop_oneof![8 => prop::sample::select(&NAMES[..]).prop_map(String::from), 1 => ".{0,6}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::vec((name, inner), 0..6).prop_map(|members| Json::from(Map::from_iter(members))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_a_uri_or_not(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        checks::uri(&bytes);
    }

    #[test]
    fn any_text_with_a_scheme_is_a_uri_or_not(text in "(?i:stuns?|turns?):.{0,40}") {
        checks::uri(text.as_bytes());
    }

    #[test]
    fn any_bytes_are_a_response_or_not(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        checks::response(&bytes);
    }

    #[test]
    fn any_words_are_a_response_or_not(text in "([aekonstfz][a-zA-Z0-9:.]{0,10}\u{0}){0,40}") {
        checks::read(&text);
    }

    #[test]
    fn any_json_is_a_response_or_not_and_no_secret_is_printed(json in any_json()) {
        let words = words::words(&json.to_string()).unwrap();
        checks::read(&words);
        let read = response::read(&Value::new(&words));
        let printed = match &read {
            Ok(response) => format!("{response:?}"),
            Err(failure) => format!("{failure:?} {failure}"),
        };
        prop_assert!(!printed.contains(SECRET), "{printed}");
        let held = memory(|| response::read(&Value::new(&words)));
        prop_assert!(held <= most_memory(words.len()), "{held} bytes for {}", words.len());
    }
}
