//! docs/lifetime.md tells of every status, every change of status and every event, and of no other; index.d.ts has the
//! names that the core gives.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use turn_wasm::core::selection::Drop;
use turn_wasm::core::session::{Reason, TtlSource};
use turn_wasm::core::status::TRANSITIONS;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join(path)).unwrap()
}

/// The text between two marks.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text.split_once(from).unwrap_or_else(|| panic!("no {from}"));
    rest.split_once(to).unwrap_or_else(|| panic!("no {to}")).0
}

/// The first cells of a table's rows, each a name in backticks.
fn named(section: &str) -> BTreeSet<String> {
    let names = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    names.map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn the_state_diagram_shows_the_changes_of_status_in_the_code() {
    let page = read("docs/lifetime.md");
    let diagram = between(&page, "```mermaid\nstateDiagram-v2\n", "```");
    let drawn: Vec<&str> = diagram
        .lines()
        .map(str::trim)
        .filter(|line| !line.contains("[*]"))
        .collect();
    let made: Vec<String> = TRANSITIONS
        .iter()
        .map(|(from, to, cause)| format!("{} --> {}: {cause}", from.as_str(), to.as_str()))
        .collect();
    assert_eq!(drawn, made);
}

#[test]
fn every_status_is_explained() {
    let page = read("docs/lifetime.md");
    let explained = named(between(&page, "## States", "## Events"));
    let statuses = TRANSITIONS
        .iter()
        .flat_map(|(from, to, _)| [from.as_str(), to.as_str()]);
    assert_eq!(explained, statuses.map(str::to_owned).collect());
}

#[test]
fn every_event_of_the_types_is_explained() {
    let page = read("docs/lifetime.md");
    let explained = named(between(&page, "## Events", "## What a restart"));
    let types = read("pkg/index.d.ts");
    let map = between(&types, "interface TurnSessionEventMap {", "\n}");
    let events = map
        .lines()
        .filter_map(|line| line.trim().split_once(": CustomEvent<"));
    assert_eq!(explained, events.map(|(name, _)| name.to_owned()).collect());
}

/// A union of texts, as TypeScript writes it.
fn union<const N: usize>(names: [&str; N]) -> String {
    names.map(|name| format!("\"{name}\"")).join(" | ")
}

#[test]
fn the_types_have_the_names_of_the_core() {
    use {Drop as D, Reason as R, TtlSource as T};
    let types = read("pkg/index.d.ts");
    let reasons = [R::Initial, R::Scheduled, R::Manual, R::Rejected, R::Wake].map(R::as_str);
    let sources = [T::Response, T::Username, T::Option, T::Assumed].map(T::as_str);
    let drops = [D::Port53, D::Transport, D::Max, D::Invalid].map(D::as_str);
    for line in [
        format!("type RefreshReason = {};", union(reasons)),
        format!("ttlSource: {};", union(sources)),
        format!("reason: {};", union(drops)),
    ] {
        assert!(types.contains(&line), "{line}");
    }
}
