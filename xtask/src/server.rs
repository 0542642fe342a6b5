//! The demo backend's program.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::cache::{Cache, fingerprint};
use crate::failure::{Context, Failure, Result};
use crate::process;
use crate::progress;
use crate::workspace::{Workspace, cargo};

const NAME: &str = "turn-demo-server";
const PROFILE: &str = "server";

/// Builds the demo backend and says where its program lies.
///
/// What it depends on takes minutes and is the same in every clone with this Cargo.lock, so cargo works in the user's
/// cache, which it locks itself; the program, which knows its clone's folders, is copied out. With CARGO_TARGET_DIR the
/// place is the user's.
pub fn build(workspace: &Workspace, cache: &Cache) -> Result<PathBuf> {
    println!("build: the demo backend");
    let mut command = Command::new(cargo());
    command
        .args(["build", "--profile", PROFILE, "--package", NAME])
        .current_dir(workspace.root());
    let shared = if std::env::var_os("CARGO_TARGET_DIR").is_none() {
        let lock = workspace.root().join("Cargo.lock");
        let lock = fs::read(&lock).context(|| format!("cannot read {}", lock.display()))?;
        let shared = cache.place(&format!("backend-{}", fingerprint(&lock)));
        command.arg("--target-dir").arg(&shared);
        Some(shared)
    } else {
        None
    };
    let took = process::with_progress(&mut command)?;
    println!("        done in {}", progress::seconds(took));
    let file = format!("{NAME}{}", std::env::consts::EXE_SUFFIX);
    let program = workspace.target().join(PROFILE).join(&file);
    if let Some(shared) = shared {
        let folder = workspace.target().join(PROFILE);
        fs::create_dir_all(&folder).context(|| format!("cannot create {}", folder.display()))?;
        // A running program's file cannot be written, only replaced.
        let new = folder.join(format!("{file}.new"));
        fs::copy(shared.join(PROFILE).join(&file), &new)
            .and_then(|_| fs::rename(&new, &program))
            .context(|| format!("cannot write {}", program.display()))?;
    }
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
pub fn run(
    workspace: &Workspace,
    cache: &Cache,
    port: Option<u16>,
    ttl: Option<u32>,
) -> Result<()> {
    let program = build(workspace, cache)?;
    let mut command = Command::new(&program);
    // The page's buttons that break things; nobody but this machine can reach them.
    command.current_dir(workspace.root()).arg("--faults");
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
