//! The fleet simulation, with the profile that makes it fast.

use std::process::Command;

use crate::failure::{Failure, Result};
use crate::process;
use crate::workspace::{Workspace, cargo};

const PAGE: &str = "docs/fleet.md";

/// Runs it; with `write` its figures go into the page, else the page is left alone.
pub fn run(workspace: &Workspace, whole: bool, write: bool) -> Result<()> {
    let mut options = Vec::new();
    if whole {
        options.push("--whole");
    }
    if write {
        options.extend(["--write", PAGE]);
    }
    simulate(workspace, &options)
}

/// Fails if a goal is missed or the page tells other figures.
pub fn check(workspace: &Workspace) -> Result<()> {
    simulate(workspace, &["--check", PAGE])
}

fn simulate(workspace: &Workspace, options: &[&str]) -> Result<()> {
    let status = process::in_view(
        Command::new(cargo())
            .args(["run", "--quiet", "--profile", "server"])
            .args(["--package", "turn-fleet", "--"])
            .args(options)
            .current_dir(workspace.root()),
    )?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the fleet simulation missed what is said above ({status})"
    )))
}
