//! `cargo xtask bench`: what the package costs and what it gives, measured beside what an app would do without it.
//!
//! The measuring is done by the scripts in tests/bench; here is what they need.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cache::Cache;
use crate::failure::{Context, Failure, Result};
use crate::fleet;
use crate::package::{self, Tools};
use crate::process;
use crate::programs::Programs;
use crate::progress;
use crate::server;
use crate::subcommand;
use crate::toolchain::TARGET;
use crate::workspace::{Workspace, cargo};

/// Fewer rounds are for a look, not for the README.
const ROUNDS: u32 = 15;

/// The same as in tests/bench/floor.
const WASM_BINDGEN: &str = "0.2.130";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Size,
    Start,
    Gathering,
    Refresh,
    Survival,
    Memory,
    Fleet,
    Core,
}

impl Part {
    pub const ALL: [Self; 8] = [
        Self::Size,
        Self::Start,
        Self::Gathering,
        Self::Refresh,
        Self::Survival,
        Self::Memory,
        Self::Fleet,
        Self::Core,
    ];

    /// For `--only`; also the name of its script in tests/bench/parts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Start => "start",
            Self::Gathering => "gathering",
            Self::Refresh => "refresh",
            Self::Survival => "survival",
            Self::Memory => "memory",
            Self::Fleet => "fleet",
            Self::Core => "core",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }
}

/// Runs one part or all, each so many rounds, and with `update_readme` puts the figures into README.md and docs/bench.md.
pub fn run(
    workspace: &Workspace,
    cache: &Cache,
    only: Option<Part>,
    rounds: Option<u32>,
    update_readme: bool,
) -> Result<()> {
    let rounds = rounds.unwrap_or(ROUNDS);
    if rounds == 0 || update_readme && rounds < ROUNDS {
        return Err(Failure::new(format!(
            "{rounds} rounds: the figures in the README are of {ROUNDS} at least"
        )));
    }
    let parts: Vec<Part> = Part::ALL
        .into_iter()
        .filter(|part| only.is_none_or(|only| only == *part))
        .collect();
    let mut stage = Stage::set_up(workspace, cache)?;
    if parts.contains(&Part::Survival) {
        stage = stage.with_server(workspace, cache)?;
    }
    let folder = workspace.root().join("tests/bench");
    stage.tools.node().install_packages(&folder)?;
    let out = workspace.target().join("bench");
    fs::create_dir_all(&out).context(|| format!("cannot create {}", out.display()))?;
    if parts.contains(&Part::Fleet) {
        println!("bench: simulates fleets");
        let path = out.join("fleet.md");
        fs::write(&path, fleet::figures(workspace)?)
            .context(|| format!("cannot write {}", path.display()))?;
    }
    if parts.contains(&Part::Size) {
        build_floor(workspace, cache, &stage.tools, &out.join("floor"))?;
    }
    if parts.contains(&Part::Core) {
        measure_core(workspace, &out)?;
    }
    let mut arguments: Vec<OsString> = vec![
        "--rounds".into(),
        rounds.to_string().into(),
        "--out".into(),
        out.into(),
    ];
    for part in parts {
        arguments.extend(["--part".into(), part.name().into()]);
    }
    if update_readme {
        arguments.push("--update-readme".into());
    }
    stage.run(&folder.join("main.mjs"), &arguments)
}

/// The least that wasm-bindgen makes of an asynchronous module: what the package would be with nothing in it.
fn build_floor(workspace: &Workspace, cache: &Cache, tools: &Tools, out: &Path) -> Result<()> {
    let bindgen = subcommand::built_as(
        cache,
        "wasm-bindgen-cli",
        WASM_BINDGEN,
        "wasm-bindgen",
        // Its own lock file lacks a crate that it needs.
        &[],
    )?;
    println!("bench: the least that wasm-bindgen makes");
    let name = "wasm_bindgen_floor";
    let target = workspace.target().join("bench-floor");
    process::with_progress(
        tools
            .cargo()
            .args(["build", "--release", "--target", TARGET])
            .args(["--manifest-path", "tests/bench/floor/Cargo.toml"])
            .arg("--target-dir")
            .arg(&target)
            .current_dir(workspace.root()),
    )?;
    let module = target
        .join(TARGET)
        .join("release")
        .join(format!("{name}.wasm"));
    process::with_progress(
        Command::new(bindgen)
            .arg(module)
            .args([
                "--target",
                "web",
                "--no-typescript",
                "--remove-name-section",
            ])
            .arg("--remove-producers-section")
            .arg("--out-dir")
            .arg(out),
    )?;
    let module = out.join(format!("{name}_bg.wasm"));
    package::optimised::<&str>(tools, &module, &module, &["--strip-debug"])?;
    Ok(())
}

/// The core by itself, natively: criterion leaves its samples in a folder.
fn measure_core(workspace: &Workspace, out: &Path) -> Result<()> {
    println!("bench: the core by itself");
    let samples = out.join("criterion");
    // What is there of benchmarks that have another name now would be told again.
    let _ = fs::remove_dir_all(&samples);
    let took = process::with_progress(
        Command::new(cargo())
            .args(["bench", "--manifest-path", "tests/bench/core/Cargo.toml"])
            .arg("--target-dir")
            .arg(workspace.target().join("bench-core"))
            .current_dir(workspace.root())
            .env("CRITERION_HOME", &samples),
    )?;
    println!("       done in {}", progress::seconds(took));
    Ok(())
}

/// The package, the browsers and the servers, for scripts that measure or wear them out.
pub struct Stage {
    tools: Tools,
    programs: Programs,
    /// The demo backend, which takes minutes to build the first time.
    server: Option<PathBuf>,
}

impl Stage {
    pub fn set_up(workspace: &Workspace, cache: &Cache) -> Result<Self> {
        let tools = Tools::set_up(cache, workspace)?;
        let programs = Programs::set_up()?;
        package::build(workspace, &tools, false)?;
        tools
            .node()
            .install_packages(&workspace.root().join("tests"))?;
        Ok(Self {
            tools,
            programs,
            server: None,
        })
    }

    pub fn with_server(self, workspace: &Workspace, cache: &Cache) -> Result<Self> {
        let server = Some(server::build(workspace, cache)?);
        Ok(Self { server, ..self })
    }

    /// Runs a script on Node.
    pub fn run(&self, script: &Path, arguments: &[OsString]) -> Result<()> {
        let mut command = self.tools.node().run("node");
        command.arg(script).args(arguments);
        if let Some(server) = &self.server {
            command.env("TURN_DEMO_SERVER", server);
        }
        let status = process::in_view(self.programs.tell(&mut command))?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::new(format!(
            "{} failed ({status})",
            script.display()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_by_their_names() {
        for part in Part::ALL {
            assert_eq!(Part::named(part.name()), Some(part));
        }
        assert_eq!(Part::named("sizes"), None);
    }
}
