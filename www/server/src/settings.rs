//! What the environment, or a file, says: keys and secrets, which no command line may hold, and where the provider is.
//! Everything is checked here, at start, and no message repeats a value.

use std::collections::BTreeMap;
use std::env::VarError;
use std::path::{Path, PathBuf};

use crate::secret::Secret;

pub const KEY_ID: &str = "TURN_KEY_ID";
pub const API_TOKEN: &str = "TURN_KEY_API_TOKEN";
pub const API_BASE: &str = "TURN_API_BASE";
pub const ACCOUNT_TOKEN: &str = "CLOUDFLARE_API_TOKEN";
pub const SESSION_SECRET: &str = "SESSION_SECRET";

const NAMES: [&str; 5] = [KEY_ID, API_TOKEN, API_BASE, ACCOUNT_TOKEN, SESSION_SECRET];

/// Shortest session secret: 32 characters from 64 are 192 bits.
const SHORTEST_SECRET: usize = 32;

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("{0} holds something that is not text")]
    NotText(&'static str),
    #[error("{0} holds white space or characters that no header may hold; copy it again")]
    NotAHeader(&'static str),
    #[error(
        "{SESSION_SECRET} has {0} characters; it must have {SHORTEST_SECRET} or more that nobody can guess, such as `openssl rand -hex 32` prints"
    )]
    ShortSecret(usize),
    #[error("the file {file} of --config cannot be read ({source})", file = file.display())]
    Unreadable {
        file: PathBuf,
        source: std::io::Error,
    },
    #[error("line {line} of {file} is not NAME=value, with one of these names: {known}", file = file.display(), known = NAMES.join(", "))]
    Line { file: PathBuf, line: usize },
    #[error("line {line} of {file} sets {name} for the second time", file = file.display())]
    Twice {
        file: PathBuf,
        line: usize,
        name: &'static str,
    },
}

#[derive(Debug)]
pub struct Settings(BTreeMap<&'static str, Secret>);

impl Settings {
    /// The environment's, and the file's for what the environment leaves out or empty.
    pub fn read(file: Option<&Path>) -> Result<Self, SettingsError> {
        let mut settings = match file {
            Some(file) => parse(file)?,
            None => BTreeMap::new(),
        };
        for name in NAMES {
            match std::env::var(name) {
                Ok(value) if value.is_empty() => {}
                Ok(value) => {
                    settings.insert(name, Secret::new(value));
                }
                Err(VarError::NotPresent) => {}
                Err(VarError::NotUnicode(_)) => return Err(SettingsError::NotText(name)),
            }
        }
        Self(settings).checked()
    }

    fn checked(self) -> Result<Self, SettingsError> {
        for name in [API_TOKEN, ACCOUNT_TOKEN] {
            let printable = |token: &Secret| token.reveal().bytes().all(|b| b.is_ascii_graphic());
            if !self.0.get(name).is_none_or(printable) {
                return Err(SettingsError::NotAHeader(name));
            }
        }
        if let Some(secret) = self.0.get(SESSION_SECRET) {
            let length = secret.reveal().chars().count();
            if length < SHORTEST_SECRET {
                return Err(SettingsError::ShortSecret(length));
            }
        }
        Ok(self)
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(Secret::reveal)
    }

    pub fn secret(&self, name: &str) -> Option<Secret> {
        self.0.get(name).cloned()
    }
}

/// `NAME=value` lines, as for `docker --env-file` and systemd's `EnvironmentFile`: empty lines and those that begin with #
/// say nothing, and a value may stand in one pair of quotes.
fn parse(file: &Path) -> Result<BTreeMap<&'static str, Secret>, SettingsError> {
    let text = std::fs::read_to_string(file).map_err(|source| SettingsError::Unreadable {
        file: file.to_owned(),
        source,
    })?;
    warn_of_others(file);
    let mut settings = BTreeMap::new();
    for (index, line) in text.lines().map(str::trim).enumerate() {
        let number = index + 1;
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = || SettingsError::Line {
            file: file.to_owned(),
            line: number,
        };
        let (name, value) = line.split_once('=').ok_or_else(wrong)?;
        let name = NAMES
            .into_iter()
            .find(|known| *known == name.trim())
            .ok_or_else(wrong)?;
        let value = unquoted(value.trim());
        if !value.is_empty() && settings.insert(name, Secret::new(value)).is_some() {
            return Err(SettingsError::Twice {
                file: file.to_owned(),
                line: number,
                name,
            });
        }
    }
    Ok(settings)
}

fn unquoted(value: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value)
}

/// Says so if other users of the machine can read the file.
fn warn_of_others(file: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(file).map(|about| about.permissions().mode());
        if mode.is_ok_and(|mode| mode & 0o077 != 0) {
            tracing::warn!(file = %file.display(), "others can read the file of --config; chmod 600 keeps its secrets");
        }
    }
    #[cfg(not(unix))]
    let _ = file;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Result<BTreeMap<&'static str, Secret>, SettingsError> {
        let file = std::env::temp_dir().join(format!(
            "turn-demo-server-settings-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        std::fs::write(&file, text).unwrap();
        let parsed = parse(&file);
        std::fs::remove_file(file).unwrap();
        parsed
    }

    #[test]
    fn a_file_holds_names_and_values_comments_and_quotes() {
        let settings = written(
            "# a comment\n\nTURN_KEY_ID=id\n TURN_KEY_API_TOKEN = \"to=ken\" \nTURN_API_BASE=''\n",
        )
        .unwrap();
        let shown: Vec<_> = settings
            .iter()
            .map(|(name, value)| (*name, value.reveal()))
            .collect();
        assert_eq!(shown, [(API_TOKEN, "to=ken"), (KEY_ID, "id")]);
    }

    #[test]
    fn a_wrong_line_is_named_by_its_number_without_what_it_holds() {
        for (text, line) in [
            ("TURN_KEY_ID=id\nhunter2", 2),
            ("\nhunter2=x", 2),
            ("export TURN_KEY_ID=hunter2", 1),
            ("TURN_KEY_ID=a\nTURN_KEY_ID=hunter2", 2),
        ] {
            let said = written(text).unwrap_err().to_string();
            assert!(said.contains(&format!("line {line} of ")), "{said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn tokens_that_fit_no_header_and_short_secrets_are_refused_without_showing_them() {
        let check = |name: &'static str, value: &str| {
            Settings(BTreeMap::from([(name, Secret::new(value))])).checked()
        };
        for token in ["hunter2\n", "hunter 2", "hunter2\u{e4}"] {
            let said = check(API_TOKEN, token).unwrap_err().to_string();
            assert!(
                said.starts_with("TURN_KEY_API_TOKEN holds white space"),
                "{said}"
            );
            assert!(!said.contains("hunter"), "{said}");
        }
        let said = check(SESSION_SECRET, "hunter2").unwrap_err().to_string();
        assert!(
            said.contains("has 7 characters") && !said.contains("hunter2"),
            "{said}"
        );
        assert!(check(SESSION_SECRET, &"x".repeat(32)).is_ok());
    }

    #[test]
    fn debug_output_shows_no_value() {
        let settings = Settings(BTreeMap::from([(API_TOKEN, Secret::new("hunter2"))]));
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
