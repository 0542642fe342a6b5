//! A fleet of sessions against one backend: what a million pages that run turn-wasm ask of it, on ordinary days and after
//! an outage, beside what two fixed policies ask that apps write by hand.
//!
//! The sessions are those of `src/core`, each with its own seed, driven through hours of simulated time; the fixed policies are
//! models. Nothing depends on real time or on the number of cores: the same sources give the same figures everywhere.

// A test that cannot go on may panic.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod backend;
mod calendar;
mod fixed;
mod goals;
mod page;
mod record;
mod scenario;
mod sessions;
mod study;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;
use std::{env, fs};

use study::Size;

const USAGE: &str = "usage: turn-fleet [--whole] [--write PAGE | --check PAGE]";

fn main() -> ExitCode {
    match run(env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(complaint) => {
            eprintln!("turn-fleet: {complaint}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), String> {
    let mut size = Size::Scaled;
    let (mut write, mut check) = (None, None);
    while let Some(argument) = arguments.next() {
        let mut page = || {
            arguments
                .next()
                .ok_or_else(|| format!("{argument} needs a file\n{USAGE}"))
        };
        match argument.as_str() {
            "--whole" => size = Size::Whole,
            "--write" => write = Some(page()?),
            "--check" => check = Some(page()?),
            _ => return Err(format!("there is no option {argument}\n{USAGE}")),
        }
    }

    let begun = Instant::now();
    let runs = study::run(size);
    let section = page::section(&runs);
    println!("{section}");
    eprintln!(
        "{} fleets in {:.1} s",
        runs.len(),
        begun.elapsed().as_secs_f64()
    );

    if let Some(page) = &write {
        let new = page::replaced(&read(page)?, size, &section)?;
        fs::write(page, new).map_err(|error| format!("cannot write {page}: {error}"))?;
    }
    let mut complaints = goals::missed(&runs);
    if let Some(page) = &check {
        let old = read(page)?;
        if page::replaced(&old, size, &section)? != old {
            complaints.push(format!(
                "{page} tells other figures: write it anew with `cargo xtask fleet --write`"
            ));
        }
    }
    if complaints.is_empty() {
        return Ok(());
    }
    Err(complaints.join("\n"))
}

fn read(page: &str) -> Result<String, String> {
    fs::read_to_string(Path::new(page)).map_err(|error| format!("cannot read {page}: {error}"))
}
