//! The clone this command runs in: where it lies, where its build results go, which versions its Cargo.lock holds.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Context, Failure, Result};
use crate::process;

pub struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    pub fn open() -> Result<Self> {
        // `cargo run` says where the crate lies now; the value compiled in holds for a binary that is called directly.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&manifest)
            .parent()
            .map(Path::to_path_buf)
            .ok_or_else(|| Failure::new("xtask must lie in a folder of the workspace"))?;
        let metadata = process::output(
            Command::new(cargo())
                .args(["metadata", "--no-deps", "--format-version", "1"])
                .current_dir(&root),
        )?;
        let target = string_field(&metadata, "target_directory")
            .ok_or_else(|| Failure::new("`cargo metadata` names no target_directory"))?;
        Ok(Self {
            root,
            target: target.into(),
        })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's target directory, wherever the user's settings put it.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The version of a package in Cargo.lock.
    pub fn locked(&self, package: &str) -> Result<String> {
        let path = self.root.join("Cargo.lock");
        let lock =
            std::fs::read_to_string(&path).context(|| format!("cannot read {}", path.display()))?;
        locked_version(&lock, package)
    }
}

/// The cargo that runs this command.
pub fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn locked_version(lock: &str, package: &str) -> Result<String> {
    let name = format!("name = \"{package}\"");
    let versions: Vec<&str> = lock
        .split("[[package]]")
        .filter(|entry| entry.lines().any(|line| line.trim() == name))
        .filter_map(|entry| {
            entry
                .lines()
                .find_map(|line| line.trim().strip_prefix("version = \"")?.strip_suffix('"'))
        })
        .collect();
    match versions.as_slice() {
        [version] => Ok((*version).to_owned()),
        [] => Err(Failure::new(format!("Cargo.lock has no package {package}"))),
        several => Err(Failure::new(format!(
            "Cargo.lock has several versions of {package}: {}",
            several.join(", ")
        ))),
    }
}

/// The value of a JSON text's first string field of that name. Cargo's own output is the only input.
fn string_field(json: &str, name: &str) -> Option<String> {
    let (_, rest) = json.split_once(&format!("\"{name}\":\""))?;
    let mut value = String::new();
    let mut characters = rest.chars();
    loop {
        match characters.next()? {
            '"' => return Some(value),
            '\\' => value.push(characters.next()?),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
version = 4

[[package]]
name = "wasm-bindgen"
version = "0.2.130"
source = "registry"
dependencies = [
 "cfg-if",
]

[[package]]
name = "wasm-bindgen-macro"
version = "0.2.131"

[[package]]
name = "syn"
version = "2.0.1"

[[package]]
name = "syn"
version = "3.0.0"
"#;

    #[test]
    fn a_locked_version_is_that_of_exactly_this_package() {
        assert_eq!(locked_version(LOCK, "wasm-bindgen").unwrap(), "0.2.130");
    }

    #[test]
    fn a_package_that_is_missing_or_ambiguous_is_named() {
        assert!(
            locked_version(LOCK, "bindgen")
                .unwrap_err()
                .to_string()
                .contains("no package bindgen")
        );
        assert!(
            locked_version(LOCK, "syn")
                .unwrap_err()
                .to_string()
                .contains("2.0.1, 3.0.0")
        );
    }

    #[test]
    fn fields_are_read_with_their_escapes() {
        let json = r#"{"packages":[],"target_directory":"C:\\clone \"one\"\\target","version":1}"#;
        assert_eq!(
            string_field(json, "target_directory").unwrap(),
            "C:\\clone \"one\"\\target"
        );
        assert_eq!(string_field(json, "missing"), None);
        assert_eq!(string_field("{\"a\":\"cut", "a"), None);
    }
}
