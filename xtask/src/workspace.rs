//! The clone this command runs in: where it lies, where its build results go.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Failure, Result};
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
}

/// The cargo that runs this command.
pub fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
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
