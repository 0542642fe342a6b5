//! `cargo xtask mutants`: changes the core in hundreds of small ways and tells which changes no test notices.
//! .cargo/mutants.toml says what is changed, and why some changes are let pass.

use std::process::Command;

use crate::cache::Cache;
use crate::failure::{Failure, Result};
use crate::process;
use crate::subcommand;
use crate::workspace::Workspace;

/// cargo-mutants in the version that the list of exceptions was made with.
const VERSION: &str = "27.1.0";

/// cargo-mutants' exit code for: none survived, some did not come to an end.
const TIMED_OUT: i32 = 3;

pub fn run(workspace: &Workspace, cache: &Cache) -> Result<()> {
    let program = subcommand::built(cache, "cargo-mutants", VERSION)?;
    let status = process::in_view(
        Command::new(program)
            .args(["mutants", "--output"])
            .arg(workspace.target())
            .current_dir(workspace.root())
            // Each mutant is built in a copy of the tree, beside a target folder of its own.
            .env_remove("CARGO_TARGET_DIR"),
    )?;
    // A mutant that runs without end was noticed as well.
    if matches!(status.code(), Some(0 | TIMED_OUT)) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "mutants survived ({status}): write a test that tells each apart, or name it with its reason in .cargo/mutants.toml"
    )))
}
