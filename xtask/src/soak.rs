//! `cargo xtask soak`: calls in two browsers over two TURN servers that meet random faults, for as long as one likes. What
//! happens is in tests/soak.

use std::ffi::OsString;

use crate::bench::Stage;
use crate::cache::Cache;
use crate::failure::Result;
use crate::workspace::Workspace;

/// Enough for some rounds of faults.
const MINUTES: u32 = 2;

/// Without a seed it draws one, and names it.
pub fn run(
    workspace: &Workspace,
    cache: &Cache,
    minutes: Option<u32>,
    seed: Option<u32>,
) -> Result<()> {
    let minutes = minutes.unwrap_or(MINUTES).to_string();
    let mut arguments: Vec<OsString> = vec!["--minutes".into(), minutes.into()];
    if let Some(seed) = seed {
        arguments.extend(["--seed".into(), seed.to_string().into()]);
    }
    Stage::set_up(workspace, cache)?
        .with_server(workspace, cache)?
        .run(&workspace.root().join("tests/soak/main.mjs"), &arguments)
}
