//! The demo backend's program.

use std::path::PathBuf;
use std::process::Command;

use crate::failure::{Failure, Result};
use crate::process;
use crate::progress;
use crate::workspace::{Workspace, cargo};

const NAME: &str = "turn-demo-server";
const PROFILE: &str = "server";

/// Builds the demo backend and says where its program lies.
pub fn build(workspace: &Workspace) -> Result<PathBuf> {
    println!("build: the demo backend");
    let took = process::with_progress(
        Command::new(cargo())
            .args(["build", "--profile", PROFILE, "--package", NAME])
            .current_dir(workspace.root()),
    )?;
    println!("        done in {}", progress::seconds(took));
    let program = workspace
        .target()
        .join(PROFILE)
        .join(format!("{NAME}{}", std::env::consts::EXE_SUFFIX));
    if program.is_file() {
        return Ok(program);
    }
    Err(Failure::new(format!(
        "cargo built {NAME}, but {} does not exist; a `build.target` in cargo's settings puts it elsewhere: unset it",
        program.display()
    )))
}

/// Serves the demo in the foreground until a signal ends it.
///
/// The backend takes this process's place, so that Ctrl-C, SIGTERM and its exit code are its own.
pub fn run(workspace: &Workspace, port: Option<u16>, ttl: Option<u32>) -> Result<()> {
    let program = build(workspace)?;
    let mut command = Command::new(&program);
    command.current_dir(workspace.root());
    if let Some(port) = port {
        command.args(["--port", &port.to_string()]);
    }
    if let Some(ttl) = ttl {
        command.args(["--ttl", &ttl.to_string()]);
    }
    println!("demo: Ctrl-C ends it");
    replace(&mut command, &program)
}

#[cfg(unix)]
fn replace(command: &mut Command, program: &std::path::Path) -> Result<()> {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    Err(Failure::new(format!(
        "cannot run {}: {error}",
        program.display()
    )))
}

#[cfg(not(unix))]
fn replace(command: &mut Command, _: &std::path::Path) -> Result<()> {
    let status = process::in_view(command)?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!("the demo backend ended: {status}")))
}
