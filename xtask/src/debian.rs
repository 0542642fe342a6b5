//! Debian's packages: whether they are installed, and installing them where we may.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::{Failure, Result};
use crate::process;
use crate::progress;

/// Whether this is Debian or a system made from it, told by its package tool.
pub fn here() -> bool {
    process::output(Command::new("dpkg-query").arg("--version")).is_ok()
        && process::output(Command::new("apt-get").arg("--version")).is_ok()
}

/// The version of an installed package.
pub fn installed(package: &str) -> Option<String> {
    let status = process::output(Command::new("dpkg-query").args([
        "--show",
        "--showformat=${db:Status-Status} ${Version}",
        package,
    ]))
    .ok()?;
    status.strip_prefix("installed ").map(str::to_owned)
}

/// Installs the packages that are missing. `why` ends the line that announces it.
///
/// Nothing is ever removed for them: a system whose own packages stand in the way is left as it is, with a message.
pub fn install(packages: &[&str], why: &str) -> Result<()> {
    let missing: Vec<&str> = packages
        .iter()
        .copied()
        .filter(|package| installed(package).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!("apt-get install {}", missing.join(" "));
    if !root() {
        return Err(Failure::new(format!(
            "missing: {}. Install them with: sudo {by_hand}",
            missing.join(", ")
        )));
    }
    println!("set-up: installs Debian's {} ({why})", missing.join(", "));
    update();
    let took = process::with_progress(
        apt()
            .args(["install", "--yes", "--no-install-recommends", "--no-remove"])
            .args(&missing),
    )
    .map_err(|failure| {
        Failure::new(format!(
            "{failure}\n\nCould not install Debian packages; to see why, run: {by_hand}"
        ))
    })?;
    println!("        done in {}", progress::seconds(took));
    Ok(())
}

/// Whether Debian's archive, as this machine knows it, has the package.
pub fn offers(package: &str) -> bool {
    let known = || {
        process::output(Command::new("apt-cache").args(["policy", package])).is_ok_and(|policy| {
            policy
                .lines()
                .any(|line| line.contains("Candidate:") && !line.contains("(none)"))
        })
    };
    if known() {
        return true;
    }
    if !root() {
        return false;
    }
    // A new machine knows no packages before its first update.
    update();
    known()
}

/// Fetches the lists of packages, once in a run. A failure is not the end: one of several archives may be unreachable,
/// and the installation after it says what is really missing.
fn update() {
    static UPDATED: AtomicBool = AtomicBool::new(false);
    if !UPDATED.swap(true, Ordering::SeqCst)
        && let Err(failure) = process::with_progress(apt().arg("update"))
    {
        eprintln!("xtask: {failure}");
    }
}

pub fn root() -> bool {
    process::output(Command::new("id").arg("-u")).is_ok_and(|id| id == "0")
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").args([
        "-o",
        "DPkg::Lock::Timeout=300",
        "-o",
        "Dpkg::Use-Pty=0",
    ]);
    command
}
