//! The one error of this crate: a sentence that says what is missing or went wrong, and what to do about it.

use std::fmt;

#[derive(Debug)]
pub struct Failure {
    message: String,
    code: u8,
}

pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: 1,
        }
    }

    /// The command was called wrongly: exit code 2, as command-line programs have it.
    pub fn usage(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: 2,
        }
    }

    /// A signal ended the command: exit code 128 + its number, as shells have it.
    pub fn interrupted(signal: u8) -> Self {
        Self {
            message: "interrupted; nothing half-built is left behind".into(),
            code: 128u8.saturating_add(signal),
        }
    }

    pub fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

/// Turns another error into a [`Failure`] that says what was being done.
pub trait Context<T> {
    fn context(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn context(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Failure::new(format!("{}: {error}", doing())))
    }
}
