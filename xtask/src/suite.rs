//! `cargo xtask test`: every check of the project, in order, each with its time.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::cache::Cache;
use crate::crates;
use crate::docs;
use crate::failure::{Context, Failure, Result};
use crate::fleet;
use crate::interrupt;
use crate::node::Node;
use crate::package::{self, Tools};
use crate::process;
use crate::programs::{Programs, WebKit};
use crate::progress;
use crate::server;
use crate::size::{self, Size};
use crate::tap::{self, Counts};
use crate::workspace::{Workspace, cargo};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Format,
    Lints,
    Crates,
    Native,
    Docs,
    Fleet,
    Build,
    Package,
    Browser,
    Apps,
    EndToEnd,
    Libraries,
}

impl Step {
    pub const ALL: [Self; 12] = [
        Self::Format,
        Self::Lints,
        Self::Crates,
        Self::Native,
        Self::Docs,
        Self::Fleet,
        Self::Build,
        Self::Package,
        Self::Browser,
        Self::Apps,
        Self::EndToEnd,
        Self::Libraries,
    ];

    /// The name for `--only`; for the last five also the folder in tests/.
    pub fn name(self) -> &'static str {
        match self {
            Self::Format => "fmt",
            Self::Lints => "clippy",
            Self::Crates => "crates",
            Self::Native => "native",
            Self::Docs => "docs",
            Self::Fleet => "fleet",
            Self::Build => "build",
            Self::Package => "package",
            Self::Browser => "browser",
            Self::Apps => "apps",
            Self::EndToEnd => "e2e",
            Self::Libraries => "libraries",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }

    fn says(self) -> &'static str {
        match self {
            Self::Format => "the formatting of the Rust code",
            Self::Lints => "clippy over the workspace, warnings as errors",
            Self::Crates => "the crates' licences, sources and duplicates",
            Self::Native => "the native tests of the workspace",
            Self::Docs => "the documentation, warnings as errors",
            Self::Fleet => "fleets of sessions against one backend, and docs/fleet.md",
            Self::Build => "the npm package and its size",
            Self::Package => "the npm package from the outside",
            Self::Browser => "the package in Chromium and Firefox",
            Self::Apps => "apps made with the package, by each bundler",
            Self::EndToEnd => "calls end to end in Chromium and Firefox",
            Self::Libraries => "calls of other libraries, with the recipes of docs/libraries.md",
        }
    }

    fn runs_in_node(self) -> bool {
        matches!(
            self,
            Self::Package | Self::Browser | Self::Apps | Self::EndToEnd | Self::Libraries
        )
    }
}

struct Outcome {
    step: Step,
    took: Duration,
    failure: Option<String>,
}

/// Runs one step, with what it needs, or all of them. A failing step does not keep the later ones from running, unless
/// they need what it makes.
pub fn run(workspace: &Workspace, cache: &Cache, only: Option<Step>) -> Result<()> {
    let steps: Vec<Step> = Step::ALL
        .into_iter()
        .filter(|step| only.is_none_or(|only| only == *step))
        .collect();
    let in_node = steps.iter().any(|step| step.runs_in_node());

    if steps.contains(&Step::Format) {
        component("rustfmt", "fmt")?;
    }
    if steps.contains(&Step::Lints) {
        component("clippy", "clippy")?;
    }
    let tools = if in_node || steps.contains(&Step::Build) {
        Some(Tools::set_up(cache, workspace)?)
    } else {
        None
    };
    let programs = if in_node {
        Some(Programs::set_up()?)
    } else {
        None
    };

    let mut suite = Suite {
        workspace,
        cache,
        tools,
        programs,
        built: None,
        site: None,
        counts: Counts::default(),
        failures: Vec::new(),
    };
    let mut outcomes = Vec::new();
    for step in steps {
        println!("\ntest: {}: {}", step.name(), step.says());
        let begun = Instant::now();
        let failure = match suite.run(step) {
            Ok(()) => None,
            Err(failure) if interrupt::received().is_some() => return Err(failure),
            Err(failure) => Some(failure.to_string()),
        };
        if let Some(failure) = &failure {
            eprintln!("xtask: {}: {failure}", step.name());
        }
        outcomes.push(Outcome {
            step,
            took: begun.elapsed(),
            failure,
        });
    }

    println!();
    for failure in &suite.failures {
        println!("FAILED: {failure}\n");
    }
    for outcome in &outcomes {
        println!("{}", summary(outcome));
    }
    let Counts { passed, failed } = suite.counts;
    println!("\n{passed} passed, {failed} failed");
    let broken: Vec<_> = outcomes
        .iter()
        .filter(|outcome| outcome.failure.is_some())
        .map(|outcome| outcome.step.name())
        .collect();
    if broken.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("failed: {}", broken.join(", "))))
}

fn summary(outcome: &Outcome) -> String {
    let name = outcome.step.name();
    let took = progress::seconds(outcome.took);
    match outcome.failure {
        None => format!("{name:9} ok      {took}"),
        Some(_) => format!("{name:9} FAILED  {took}  (alone: cargo xtask test --only {name})"),
    }
}

/// A part of the Rust toolchain that is not always installed with it.
fn component(name: &str, subcommand: &str) -> Result<()> {
    let present = || process::output(Command::new(cargo()).args([subcommand, "--version"])).is_ok();
    if present() {
        return Ok(());
    }
    println!("set-up: adds {name} to the Rust toolchain (a check runs it)");
    let added = process::with_progress(Command::new("rustup").args(["component", "add", name]));
    if added.is_ok() && present() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "missing: `cargo {subcommand}`. Install it with `rustup component add {name}` or from the system's packages"
    )))
}

struct Suite<'a> {
    workspace: &'a Workspace,
    cache: &'a Cache,
    tools: Option<Tools>,
    programs: Option<Programs>,
    /// Whether the package was built in this run, once it was tried.
    built: Option<bool>,
    /// The demo backend, and tests/ with its packages installed.
    site: Option<PathBuf>,
    counts: Counts,
    /// The failed tests of Node's runner, which stand far above the end of a run.
    failures: Vec<String>,
}

impl Suite<'_> {
    fn run(&mut self, step: Step) -> Result<()> {
        match step {
            Step::Format => self.cargo(&["fmt", "--all", "--check"]),
            Step::Lints => self.cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ]),
            Step::Docs => docs::build(self.workspace, self.cache),
            Step::Crates => crates::check(self.workspace, self.cache),
            Step::Native => self.native(),
            Step::Fleet => fleet::check(self.workspace),
            Step::Build => self.build(),
            Step::Package | Step::Browser | Step::Apps | Step::EndToEnd | Step::Libraries => {
                self.in_node(step)
            }
        }
    }

    fn cargo(&self, arguments: &[&str]) -> Result<()> {
        process::succeeds(
            Command::new(cargo())
                .args(arguments)
                .current_dir(self.workspace.root()),
        )
    }

    fn native(&mut self) -> Result<()> {
        let mut counts = Counts::default();
        let status = process::in_view_and_read(
            Command::new(cargo())
                .args(["test", "--workspace", "--no-fail-fast"])
                .current_dir(self.workspace.root()),
            |line| counts.add(native_counts(line).unwrap_or_default()),
        )?;
        self.counts.add(counts);
        if status.success() {
            return Ok(());
        }
        Err(Failure::new(format!(
            "{} native tests failed ({status})",
            counts.failed
        )))
    }

    fn build(&mut self) -> Result<()> {
        size::check(self.package()?)
    }

    fn package(&mut self) -> Result<Size> {
        let tools = self
            .tools
            .as_ref()
            .ok_or_else(|| Failure::new("set-up brought no build tools"))?;
        self.built = Some(false);
        let size = package::build(self.workspace, tools, false)?;
        self.built = Some(true);
        Ok(size)
    }

    /// Node's test runner over one folder of tests/.
    fn in_node(&mut self, step: Step) -> Result<()> {
        match self.built {
            // Its weight is the build step's matter.
            None => {
                self.package()?;
            }
            Some(true) => {}
            Some(false) => return Err(Failure::new("not run, since the package did not build")),
        }
        let tests = self.workspace.root().join("tests");
        let server = match &self.site {
            Some(server) => server.clone(),
            None => {
                let server = server::build(self.workspace, self.cache)?;
                self.node()?.install_packages(&tests)?;
                self.site.insert(server).clone()
            }
        };
        // No other step needs what these two install.
        if matches!(step, Step::Apps | Step::Libraries) {
            self.node()?.install_packages(&tests.join(step.name()))?;
        }
        let webkit = match step {
            Step::Apps => WebKit::set_up()?,
            _ => None,
        };
        let files = test_files(&tests, step.name())?;
        let programs = self
            .programs
            .as_ref()
            .ok_or_else(|| Failure::new("set-up brought no browsers"))?;
        let report = self
            .workspace
            .target()
            .join(format!("node-tests-{}.tap", step.name()));
        let _ = fs::remove_file(&report);
        let mut destination = OsString::from("--test-reporter-destination=");
        destination.push(&report);
        let mut command = self.node()?.run("node");
        command
            // One file at a time: they share two browsers and measure times.
            .args(["--test", "--test-concurrency=1"])
            // A browser that hangs must not hang the run; the longest file takes a third of this.
            .arg("--test-timeout=1800000")
            .args(["--test-reporter=spec", "--test-reporter-destination=stdout"])
            .arg("--test-reporter=tap")
            .arg(destination)
            .args(files)
            .current_dir(&tests)
            .env("TURN_DEMO_SERVER", server);
        if let Some(webkit) = webkit {
            webkit.tell(&mut command);
        }
        let status = process::in_view(programs.tell(&mut command))?;
        let report =
            fs::read_to_string(&report).context(|| format!("cannot read {}", report.display()))?;
        let counts = tap::counts(&report);
        self.counts.add(counts);
        self.failures.extend(tap::failures(&report));
        if !status.success() {
            return Err(Failure::new(format!(
                "{} tests failed ({status})",
                counts.failed
            )));
        }
        if counts.passed == 0 {
            return Err(Failure::new("no test ran"));
        }
        Ok(())
    }

    fn node(&self) -> Result<&Node> {
        self.tools
            .as_ref()
            .map(Tools::node)
            .ok_or_else(|| Failure::new("set-up brought no Node"))
    }
}

/// The test files of one folder, in order.
fn test_files(tests: &Path, folder: &str) -> Result<Vec<String>> {
    let path = tests.join(folder);
    let mut files: Vec<String> = fs::read_dir(&path)
        .context(|| format!("cannot read {}", path.display()))?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".test.mjs"))
        .map(|name| format!("{folder}/{name}"))
        .collect();
    files.sort();
    if files.is_empty() {
        return Err(Failure::new(format!(
            "there is no file *.test.mjs in {}",
            path.display()
        )));
    }
    Ok(files)
}

/// The counts in a closing line of Rust's test runner: `test result: ok. 5 passed; 0 failed; 1 ignored; …`.
fn native_counts(line: &str) -> Option<Counts> {
    let (_, result) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |what: &str| {
        result
            .split(';')
            .find_map(|part| part.trim().strip_suffix(what)?.trim().parse().ok())
    };
    Some(Counts {
        passed: count("passed")?,
        failed: count("failed")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_found_by_their_names() {
        for step in Step::ALL {
            assert_eq!(Step::named(step.name()), Some(step));
        }
        assert_eq!(Step::named("lint"), None);
    }

    #[test]
    fn the_counts_of_native_tests_are_read() {
        let line = "test result: FAILED. 41 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(
            native_counts(line),
            Some(Counts {
                passed: 41,
                failed: 2
            })
        );
        assert_eq!(native_counts("test session::closes ... ok"), None);
        assert_eq!(native_counts("test result: ok. nothing"), None);
    }

    #[test]
    fn a_failed_step_says_how_to_run_it_alone() {
        let outcome = |failure| Outcome {
            step: Step::Lints,
            took: Duration::from_secs(30),
            failure,
        };
        assert_eq!(summary(&outcome(None)), "clippy    ok      30.0 s");
        assert!(
            summary(&outcome(Some("bad".into())))
                .ends_with("(alone: cargo xtask test --only clippy)")
        );
    }
}
