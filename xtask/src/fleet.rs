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

/// The figures of the first set, as the page has them.
pub fn figures(workspace: &Workspace) -> Result<String> {
    process::output(&mut simulation(workspace))
}

fn simulation(workspace: &Workspace) -> Command {
    let mut command = Command::new(cargo());
    command
        .args(["run", "--quiet", "--profile", "fleet"])
        .args(["--package", "turn-fleet", "--"])
        .current_dir(workspace.root());
    command
}

fn simulate(workspace: &Workspace, options: &[&str]) -> Result<()> {
    let status = process::in_view(simulation(workspace).args(options))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the fleet simulation missed what is said above ({status})"
    )))
}
