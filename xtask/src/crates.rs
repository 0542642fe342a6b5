//! The crates that Cargo.lock names: their licences, where they come from, and whether one is there twice, by the rules of
//! .cargo/deny.toml.
//!
//! Known vulnerabilities are not looked up here: their list is a Git repository and not on crates.io, so that not every
//! machine that builds this can reach it. RELEASING.md names the command.

use std::process::Command;

use crate::cache::Cache;
use crate::failure::{Failure, Result};
use crate::process;
use crate::subcommand;
use crate::workspace::{Workspace, cargo};

/// cargo-deny in the version that the rules were written for.
const VERSION: &str = "0.20.2";

pub fn check(workspace: &Workspace, cache: &Cache) -> Result<()> {
    nothing_in_the_package(workspace)?;
    let program = subcommand::built(cache, "cargo-deny", VERSION)?;
    process::succeeds(
        Command::new(program)
            .args(["--workspace", "check", "--deny", "warnings"])
            .args(["bans", "licenses", "sources"])
            .current_dir(workspace.root()),
    )
}

/// What the npm package is compiled from has no dependencies, so that its licence is the project's own.
fn nothing_in_the_package(workspace: &Workspace) -> Result<()> {
    let tree = process::output(
        Command::new(cargo())
            .args(["tree", "--package", "turn-wasm", "--target", "all"])
            .args(["--edges", "normal,build", "--prefix", "none"])
            .current_dir(workspace.root()),
    )?;
    if tree.trim().lines().count() == 1 {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the crate turn-wasm has dependencies now, which become part of the npm package and bring their licences: {tree}"
    )))
}
