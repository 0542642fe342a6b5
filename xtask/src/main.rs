//! `cargo xtask …`: builds, tests and shows turn-wasm, after preparing whatever the machine lacks for it.

// A test that cannot go on may panic.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bench;
mod cache;
mod crates;
mod debian;
mod docs;
mod failure;
mod fleet;
mod inline;
mod interrupt;
mod mutants;
mod node;
mod options;
mod package;
mod panic_text;
mod process;
mod programs;
mod progress;
mod server;
mod size;
mod soak;
mod subcommand;
mod suite;
mod tap;
mod toolchain;
mod workspace;

use std::process::ExitCode;

use cache::Cache;
use failure::Result;
use options::{Options, USAGE};
use package::Tools;
use workspace::Workspace;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

fn run() -> Result<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    if options == Options::Help {
        println!("{USAGE}");
        return Ok(());
    }
    interrupt::install();
    let workspace = Workspace::open()?;
    let cache = Cache::of_user()?;
    match options {
        Options::Demo { port, ttl } => {
            // A package above its budget still shows how it works.
            package::build(&workspace, &Tools::set_up(&cache, &workspace)?, false)?;
            server::run(&workspace, &cache, port, ttl)
        }
        Options::Build { report } => {
            let size = package::build(&workspace, &Tools::set_up(&cache, &workspace)?, report)?;
            size::check(size)
        }
        Options::Test { only } => suite::run(&workspace, &cache, only),
        Options::Bench {
            only,
            rounds,
            update_readme,
        } => bench::run(&workspace, &cache, only, rounds, update_readme),
        Options::Soak { minutes, seed } => soak::run(&workspace, &cache, minutes, seed),
        Options::Docs => docs::build(&workspace, &cache),
        Options::Fleet { whole, write } => fleet::run(&workspace, whole, write),
        Options::Mutants => mutants::run(&workspace, &cache),
        Options::Help => Ok(()),
    }
}
