//! Node and the npm tools of the build, in the exact versions of tools/package-lock.json.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::cache::{self, Cache};
use crate::debian;
use crate::failure::{Context, Failure, Result};
use crate::process;
use crate::progress;
use crate::workspace::Workspace;

/// The oldest Node that runs the build's tools.
const OLDEST: u32 = 18;

pub struct Node {
    tools: PathBuf,
}

impl Node {
    pub fn set_up(cache: &Cache, workspace: &Workspace) -> Result<Self> {
        if version_of("node").is_none() || version_of(npm()).is_none() {
            if !debian::here() {
                return Err(Failure::new(format!(
                    "missing: Node.js {OLDEST} or newer, with npm; install it from nodejs.org or with the system's package manager"
                )));
            }
            debian::install(
                &["nodejs", "npm"],
                "wasm-opt and esbuild, which shrink the package, run on Node",
            )?;
        }
        let version =
            version_of("node").ok_or_else(|| Failure::new("missing: a `node` that runs"))?;
        if major(&version).is_none_or(|major| major < OLDEST) {
            return Err(Failure::new(format!(
                "Node {version} is too old: Node {OLDEST} or newer is needed"
            )));
        }

        let source = workspace.root().join("xtask/tools");
        let lock = source.join("package-lock.json");
        let content = fs::read(&lock).context(|| format!("cannot read {}", lock.display()))?;
        let tools = cache.entry(
            &format!("npm-{}", cache::fingerprint(&content)),
            |filling| {
                println!(
                    "set-up: installs wasm-opt and esbuild from npm (they shrink the package; once)"
                );
                for file in ["package.json", "package-lock.json", ".npmrc"] {
                    fs::copy(source.join(file), filling.content.join(file))
                        .context(|| format!("cannot copy {file}"))?;
                }
                let took = process::with_progress(
                    Command::new(npm())
                        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
                        .current_dir(&filling.content),
                )?;
                println!("        done in {}", progress::seconds(took));
                Ok(())
            },
        )?;
        println!("set-up: Node {version} with wasm-opt and esbuild");
        Ok(Self { tools })
    }

    pub fn wasm_opt(&self) -> Command {
        self.script("binaryen/bin/wasm-opt")
    }

    pub fn esbuild(&self) -> Command {
        self.script("esbuild/bin/esbuild")
    }

    /// Runs a package's program on Node, without going through the shell scripts that npm makes of it.
    fn script(&self, path: &str) -> Command {
        let mut command = Command::new("node");
        command.arg(self.tools.join("node_modules").join(path));
        command
    }
}

pub fn npm() -> &'static str {
    if cfg!(windows) { "npm.cmd" } else { "npm" }
}

fn version_of(program: &str) -> Option<String> {
    let version = process::output(Command::new(program).arg("--version")).ok()?;
    Some(version.trim_start_matches('v').to_owned())
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read() {
        assert_eq!(major("20.20.2"), Some(20));
        assert_eq!(major("26.0.0-nightly"), Some(26));
        assert_eq!(major("next"), None);
    }
}
