//! `cargo xtask docs`: the API reference of the npm package and the documentation of the crates, warnings as errors.

use std::process::Command;

use crate::cache::Cache;
use crate::failure::Result;
use crate::node::Node;
use crate::process;
use crate::workspace::{Workspace, cargo};

pub fn build(workspace: &Workspace, cache: &Cache) -> Result<()> {
    let crates = crates(workspace);
    // Both are made before either one's warnings end the run.
    let reference = reference(workspace, cache);
    crates.and(reference)
}

fn crates(workspace: &Workspace) -> Result<()> {
    process::succeeds(
        Command::new(cargo())
            .args(["doc", "--workspace", "--no-deps"])
            .arg("--document-private-items")
            .env("RUSTDOCFLAGS", "-D warnings")
            .current_dir(workspace.root()),
    )
}

/// What an app sees: pkg/index.d.ts. Everything in it must be documented, and every link must lead somewhere.
fn reference(workspace: &Workspace, cache: &Cache) -> Result<()> {
    let node = Node::set_up_for_docs(cache, workspace)?;
    let settings = workspace.root().join("xtask/tools/docs");
    let to = workspace.target().join("docs");
    process::succeeds(
        node.typedoc()
            .arg("--options")
            .arg(settings.join("typedoc.json"))
            .arg("--tsconfig")
            .arg(settings.join("tsconfig.json"))
            .arg("--out")
            .arg(&to)
            .current_dir(workspace.root()),
    )?;
    println!("docs: {}", to.join("index.html").display());
    Ok(())
}
