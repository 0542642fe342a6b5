//! The URI parser against a table of cases, each with what Chromium and Firefox make of it: tests/fixtures/uris.json.
//! tests/browser/uris.test.mjs holds the same table against the browsers themselves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use serde_json::Value;
use std::fs;
use std::path::Path;
use turn_wasm::core::uri::IceUri;

struct Case {
    group: String,
    uri: String,
    in_chromium: bool,
    in_firefox: bool,
    accepted: bool,
    printed: String,
}

fn cases() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/uris.json");
    let table: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let groups = table.as_object().unwrap().iter();
    groups
        .flat_map(|(group, rows)| rows.as_array().unwrap().iter().map(move |row| (group, row)))
        .map(|(group, row)| Case {
            group: group.clone(),
            uri: row["uri"].as_str().unwrap().into(),
            in_chromium: row["chromium"].as_bool().unwrap(),
            in_firefox: row["firefox"].as_bool().unwrap(),
            accepted: row["accepted"].as_bool().unwrap(),
            printed: row
                .get("printed")
                .unwrap_or(&row["uri"])
                .as_str()
                .unwrap()
                .into(),
        })
        .collect()
}

#[test]
fn each_uri_of_the_table_is_accepted_or_refused_as_it_says() {
    let cases = cases();
    assert!(cases.len() >= 120, "{} cases", cases.len());
    for case in cases {
        let parsed = case.uri.parse::<IceUri>();
        assert_eq!(parsed.is_ok(), case.accepted, "{:?}: {parsed:?}", case.uri);
        if let Ok(parsed) = parsed {
            assert_eq!(parsed.to_string(), case.printed, "{:?}", case.uri);
            assert_eq!(
                case.printed.parse(),
                Ok(parsed),
                "{:?} does not parse back to itself",
                case.printed
            );
        }
    }
}

/// But for addresses and names that do not exist: Firefox looks into them, and no provider sends any.
#[test]
fn what_is_accepted_as_it_is_both_browsers_accept() {
    for case in cases() {
        if case.accepted && case.printed == case.uri {
            let by_firefox =
                case.in_firefox || case.group == "addresses and punycode that do not exist";
            assert!(case.in_chromium && by_firefox, "{:?}", case.uri);
        }
    }
}
