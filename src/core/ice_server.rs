//! An ICE server (W3C webrtc-pc, RTCIceServer) with its secrets kept out of every print.

use super::text::{concat, part};
use super::uri::IceUri;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A TURN username. Not a secret by itself, but with Cloudflare it names a live credential and is all that a
/// revocation needs, so only its first characters are shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The whole name, for the place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The first characters, at most 8 and never more than half of the name.
    pub fn redacted(&self) -> String {
        // In UTF-8 all bytes of a character but its first one are 10xx_xxxx.
        let begins = |byte: u8| byte & 0xc0 != 0x80;
        let length = self.0.bytes().filter(|byte| begins(*byte)).count();
        let mut left = (length / 2).min(8);
        let end = self.0.bytes().position(|byte| {
            let past = begins(byte) && left == 0;
            left -= usize::from(begins(byte) && !past);
            past
        });
        concat(&[part(&self.0, 0, end.unwrap_or(0)), "…"])
    }
}

impl fmt::Debug for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

/// An entry of `RTCConfiguration.iceServers`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IceServer {
    pub urls: Vec<IceUri>,
    pub username: Option<Username>,
    pub credential: Option<Secret>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_printed() {
        let server = IceServer {
            urls: vec!["turn:example.org".parse().unwrap()],
            username: Some(Username::new("1375043478:alice-and-bob")),
            credential: Some(Secret::new("hunter2")),
        };
        let printed = format!("{server:?} {server:#?}");
        assert!(
            !printed.contains("hunter2") && !printed.contains("alice"),
            "{printed}"
        );
        assert!(printed.contains("13750434…"), "{printed}");
    }

    #[test]
    fn a_short_username_is_not_shown_whole() {
        assert_eq!(Username::new("ab").redacted(), "a…");
        assert_eq!(Username::new("").redacted(), "…");
    }
}
