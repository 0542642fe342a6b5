//! A Rust toolchain with the wasm32-unknown-unknown target: the active one, else one laid out from Debian's
//! packages, else what rustup can add to the active one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cache::{self, Cache, Filling};
use crate::debian;
use crate::failure::{Context, Failure, Result};
use crate::process;
use crate::progress;
use crate::workspace::cargo;

pub const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's compiler, its cargo, the standard library's source, and the linker.
const PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-19"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_RUSTDOC: &str = "/usr/bin/rustdoc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_SOURCE: &str = "/usr/lib/rustlib/src/rust";
const DEBIAN_LINKER: &str = "/usr/lib/llvm-19/bin/lld";

/// Part of the cache entry's name: raise it when what [`fill`] makes changes.
const LAYOUT: u32 = 1;

/// A cargo and the compiler it is to use.
pub struct Toolchain {
    /// The laid-out folder; none means the active toolchain.
    folder: Option<PathBuf>,
}

impl Toolchain {
    /// Finds or makes a toolchain for the wasm32 target.
    pub fn set_up(cache: &Cache) -> Result<Self> {
        if active_has_target() {
            println!("set-up: {TARGET}: the active Rust toolchain has it");
            return Ok(Self { folder: None });
        }
        if debian::here()
            && (installed()
                || debian::root() && PACKAGES.iter().all(|package| debian::offers(package)))
        {
            debian::install(
                &PACKAGES,
                "the active Rust toolchain lacks the wasm32 target; Debian has its sources",
            )?;
            return Self::from_debian(cache);
        }
        let mut by_hand = format!(
            "missing: the Rust target {TARGET}. Install Rust through rustup and run `rustup target add {TARGET}`"
        );
        if debian::here() {
            by_hand.push_str(&format!(
                "; or, as root: apt-get install {}",
                PACKAGES.join(" ")
            ));
        }
        if process::output(Command::new("rustup").arg("--version")).is_err() {
            return Err(Failure::new(by_hand));
        }
        println!(
            "set-up: adds the target {TARGET} to the active Rust toolchain (the package is compiled for it)"
        );
        process::with_progress(Command::new("rustup").args(["target", "add", TARGET]))
            .map_err(|failure| Failure::new(format!("{failure}\n\n{by_hand}")))?;
        Ok(Self { folder: None })
    }

    fn from_debian(cache: &Cache) -> Result<Self> {
        let version = debian::installed("rustc-web")
            .ok_or_else(|| Failure::new("missing: Debian's package rustc-web"))?;
        let name = format!("rust-{}-wasm32-{LAYOUT}", cache::file_name(&version));
        let folder = cache.entry(&name, |filling| {
            println!("set-up: builds Rust's standard library for {TARGET} from Debian's sources (once, about a minute)");
            let took = fill(filling)?;
            println!("        done in {}", progress::seconds(took));
            Ok(())
        })?;
        println!(
            "set-up: {TARGET}: Debian's Rust {version}, standard library in {}",
            folder.display()
        );
        Ok(Self {
            folder: Some(folder),
        })
    }

    /// This toolchain's cargo, to build for the wasm32 target and nothing else.
    pub fn cargo(&self) -> Command {
        match &self.folder {
            None => {
                let mut command = Command::new(cargo());
                command
                    .env_remove("RUSTFLAGS")
                    .env_remove("CARGO_ENCODED_RUSTFLAGS")
                    .env_remove("CARGO_TARGET_DIR");
                command
            }
            Some(folder) => {
                let mut command = Command::new(folder.join("bin/cargo"));
                process::without_cargo_settings(&mut command)
                    .env("RUSTC", folder.join("bin/rustc"))
                    .env("RUSTDOC", folder.join("bin/rustdoc"));
                command
            }
        }
    }
}

fn installed() -> bool {
    PACKAGES
        .iter()
        .all(|package| debian::installed(package).is_some())
}

fn active_has_target() -> bool {
    let printed = process::output(Command::new("rustc").args([
        "--print",
        "target-libdir",
        "--target",
        TARGET,
    ]));
    printed.is_ok_and(|folder| has_standard_library(Path::new(&folder)))
}

fn has_standard_library(folder: &Path) -> bool {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("libstd-") && name.ends_with(".rlib")
        })
}

/// Builds the standard library in an empty crate and lays out a sysroot around it: the new target's libraries beside
/// links to what Debian installed. Only Debian's compiler can read what Debian's sources gave, so it is the compiler.
fn fill(filling: &Filling) -> Result<std::time::Duration> {
    let host = host_of(DEBIAN_RUSTC)?;
    let crate_folder = filling.scratch.join("empty");
    write(&crate_folder.join("src/lib.rs"), "")?;
    write(
        &crate_folder.join("Cargo.toml"),
        "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n",
    )?;
    let commit = process::output(Command::new(DEBIAN_RUSTC).args(["--version", "--verbose"]))?
        .lines()
        .find_map(|line| line.strip_prefix("commit-hash: ").map(str::to_owned))
        .unwrap_or_default();
    let target = filling.scratch.join("target");
    let mut build = Command::new(DEBIAN_CARGO);
    let took = process::with_progress(
        process::without_cargo_settings(&mut build)
            .args(["build", "--release", "--target", TARGET])
            .arg("-Zbuild-std=std,panic_abort,proc_macro,test")
            .current_dir(&crate_folder)
            .env("RUSTC", DEBIAN_RUSTC)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TARGET_DIR", &target)
            // Link-time optimisation reads the bitcode. The panic messages name the files as the official builds
            // name them, so that no machine's paths get into the package and its size is the same everywhere.
            .env(
                "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
                format!("-Cembed-bitcode=yes --remap-path-prefix={DEBIAN_SOURCE}=/rustc/{commit}"),
            ),
    )?;

    let libraries = filling.content.join("lib/rustlib").join(TARGET).join("lib");
    fs::create_dir_all(&libraries).context(|| format!("cannot create {}", libraries.display()))?;
    let built = target.join(TARGET).join("release/deps");
    for entry in fs::read_dir(&built)
        .context(|| format!("cannot read {}", built.display()))?
        .flatten()
    {
        let name = entry.file_name();
        let shown = name.to_string_lossy();
        if shown.ends_with(".rlib") && !shown.starts_with("libempty-") {
            fs::copy(entry.path(), libraries.join(&name))
                .context(|| format!("cannot copy {shown}"))?;
        }
    }
    if !has_standard_library(&libraries) {
        return Err(Failure::new(format!(
            "building the standard library left no libstd in {}",
            built.display()
        )));
    }

    let host_folder = filling.content.join("lib/rustlib").join(&host);
    fs::create_dir_all(host_folder.join("bin"))
        .context(|| format!("cannot create {}", host_folder.display()))?;
    cache::link(
        &Path::new("/usr/lib/rustlib").join(&host).join("lib"),
        &host_folder.join("lib"),
    )?;
    cache::link(Path::new(DEBIAN_LINKER), &host_folder.join("bin/rust-lld"))?;
    script(
        &filling.content.join("bin/rustc"),
        DEBIAN_RUSTC,
        &filling.destination,
    )?;
    script(
        &filling.content.join("bin/rustdoc"),
        DEBIAN_RUSTDOC,
        &filling.destination,
    )?;
    cache::link(Path::new(DEBIAN_CARGO), &filling.content.join("bin/cargo"))?;
    Ok(took)
}

fn host_of(rustc: &str) -> Result<String> {
    process::output(Command::new(rustc).args(["--version", "--verbose"]))?
        .lines()
        .find_map(|line| line.strip_prefix("host: ").map(str::to_owned))
        .ok_or_else(|| Failure::new(format!("{rustc} does not say its host")))
}

/// A program that runs another one with this sysroot. The sysroot is the entry's final name, not the temporary one.
fn script(path: &Path, program: &str, sysroot: &Path) -> Result<()> {
    let sysroot = sysroot.to_string_lossy().replace('\'', r"'\''");
    write(
        path,
        &format!("#!/bin/sh\nexec {program} --sysroot '{sysroot}' \"$@\"\n"),
    )?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))
            .context(|| format!("cannot make {} executable", path.display()))?;
    }
    Ok(())
}

fn write(path: &Path, content: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).context(|| format!("cannot create {}", folder.display()))?;
    }
    fs::write(path, content).context(|| format!("cannot write {}", path.display()))
}
