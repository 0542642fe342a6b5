//! wasm-bindgen's command-line tool, in exactly the version of the crate in Cargo.lock: the two speak a private format.

use std::path::PathBuf;
use std::process::Command;

use crate::cache::Cache;
use crate::failure::{Failure, Result};
use crate::process;
use crate::progress;
use crate::workspace::{Workspace, cargo};

pub fn set_up(cache: &Cache, workspace: &Workspace) -> Result<PathBuf> {
    let version = workspace.locked("wasm-bindgen")?;
    let program = format!("wasm-bindgen{}", std::env::consts::EXE_SUFFIX);
    let folder = cache.entry(&format!("wasm-bindgen-{version}"), |filling| {
        println!("set-up: builds the tool wasm-bindgen {version} (Cargo.lock has the crate in this version; once, about two minutes)");
        let mut install = Command::new(cargo());
        let took = process::with_progress(
            process::without_cargo_settings(&mut install)
                .args(["install", "wasm-bindgen-cli", "--version", &format!("={version}")])
                // Without the test runner and the TLS stack that only it uses.
                .args(["--bin", "wasm-bindgen", "--no-default-features"])
                .arg("--root")
                .arg(&filling.content)
                // Outside the clone, whose cargo settings are for its own crates.
                .current_dir(&filling.scratch)
                .env("CARGO_TARGET_DIR", filling.scratch.join("target"))
                // It reads a small module for some milliseconds: what counts is how fast it is built.
                .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
                .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
                .env("CARGO_PROFILE_RELEASE_LTO", "off")
                .env("CARGO_PROFILE_RELEASE_DEBUG", "0"),
        )?;
        let says = process::output(Command::new(filling.content.join("bin").join(&program)).arg("--version"))?;
        if says != format!("wasm-bindgen {version}") {
            return Err(Failure::new(format!("asked for wasm-bindgen {version}, got one that says `{says}`")));
        }
        println!("        done in {}", progress::seconds(took));
        Ok(())
    })?;
    println!("set-up: wasm-bindgen {version}");
    Ok(folder.join("bin").join(program))
}
