//! Programs of crates.io that cargo builds, each once into the cache.

use std::path::PathBuf;
use std::process::Command;

use crate::cache::Cache;
use crate::failure::Result;
use crate::process;
use crate::progress;
use crate::workspace::cargo;

/// The program of the crate `name`, built in exactly this version if it is not there yet.
pub fn built(cache: &Cache, name: &str, version: &str) -> Result<PathBuf> {
    built_as(cache, name, version, name, &["--locked"])
}

/// The same of a crate whose program has another name, with cargo's options for it.
pub fn built_as(
    cache: &Cache,
    name: &str,
    version: &str,
    program: &str,
    options: &[&str],
) -> Result<PathBuf> {
    let folder = cache.entry(&format!("{name}-{version}"), |filling| {
        println!("set-up: builds {name} {version} (once, about two minutes)");
        let mut install = Command::new(cargo());
        let took = process::with_progress(
            process::without_cargo_settings(&mut install)
                .args(["install", name, "--version"])
                .arg(format!("={version}"))
                .args(options)
                .arg("--root")
                .arg(&filling.content)
                // Outside the clone, whose cargo settings are for its own crates.
                .current_dir(&filling.scratch)
                .env("CARGO_TARGET_DIR", filling.scratch.join("target"))
                // Its own speed does not count: these wait for builds, or are done at once.
                .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
                .env("CARGO_PROFILE_RELEASE_LTO", "off"),
        )?;
        println!("        done in {}", progress::seconds(took));
        Ok(())
    })?;
    let program = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    Ok(folder.join("bin").join(program))
}
