//! STUN and TURN URIs (RFC 7064, RFC 7065).
//!
//! These are not hierarchical URLs: no `//`, no path, no user, and the only query is `?transport=udp|tcp` on a TURN
//! URI. What the browsers' `RTCPeerConnection` refuses is refused here, with the reason.

use super::decimal::{self, decimal};
use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Stun,
    Stuns,
    Turn,
    Turns,
}

impl Scheme {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stun => "stun",
            Self::Stuns => "stuns",
            Self::Turn => "turn",
            Self::Turns => "turns",
        }
    }

    /// TURN relays and needs a credential; STUN does neither.
    pub fn is_turn(self) -> bool {
        matches!(self, Self::Turn | Self::Turns)
    }
}

/// How a client reaches the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
}

/// A parsed URI. Prints as it is handed to the browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceUri {
    scheme: Scheme,
    host: String,
    port: Option<u16>,
    /// The `transport` query of a TURN URI: over TCP (`true`) or UDP (`false`).
    tcp: Option<bool>,
}

impl IceUri {
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The port, or the scheme's default: 3478, with TLS 5349 (RFC 7064 and RFC 7065, section 3.2).
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.scheme {
            Scheme::Stun | Scheme::Turn => 3478,
            Scheme::Stuns | Scheme::Turns => 5349,
        })
    }

    /// The transport to the server (RFC 7065 section 3.1; without a query UDP, with TLS TCP).
    pub fn transport(&self) -> Transport {
        match (self.scheme, self.tcp) {
            // TURN over DTLS: no browser does it, but it is what the URI says.
            (Scheme::Turns, Some(false)) => Transport::Udp,
            (Scheme::Turns | Scheme::Stuns, _) => Transport::Tls,
            (_, Some(true)) => Transport::Tcp,
            _ => Transport::Udp,
        }
    }

    /// The URI as it is handed to the browser.
    pub fn to_text(&self) -> String {
        let mut text = String::from(self.scheme.as_str());
        text.push(':');
        text.push_str(&self.host);
        if let Some(port) = self.port {
            text.push(':');
            text.push_str(&decimal(port.into()));
        }
        text.push_str(match self.tcp {
            None => "",
            Some(false) => "?transport=udp",
            Some(true) => "?transport=tcp",
        });
        text
    }

    /// Whether both name one server port. Firefox reports errors of `turn:…?transport=…` without the query.
    pub fn is_same_place(&self, other: &Self) -> bool {
        self.scheme == other.scheme
            && self.port() == other.port()
            && self.host.eq_ignore_ascii_case(&other.host)
    }
}

/// Why a text is no STUN or TURN URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UriError {
    Scheme,
    Host,
    Port,
    Query,
}

impl UriError {
    /// What was expected.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheme => "expected a stun:, stuns:, turn: or turns: URL",
            Self::Host => "expected a host name or address after the scheme, without \"//\"",
            Self::Port => "expected a port from 1 to 65535",
            Self::Query => {
                "expected no query other than ?transport=udp or ?transport=tcp, and none on stun:"
            }
        }
    }
}

impl fmt::Display for UriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::error::Error for UriError {}

impl FromStr for IceUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let (scheme, rest) = text.split_once(':').ok_or(UriError::Scheme)?;
        let scheme = [Scheme::Stun, Scheme::Stuns, Scheme::Turn, Scheme::Turns]
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(scheme))
            .ok_or(UriError::Scheme)?;
        let (authority, tcp) = match rest.split_once('?') {
            None => (rest, None),
            Some(_) if !scheme.is_turn() => return Err(UriError::Query),
            Some((authority, "transport=udp")) => (authority, Some(false)),
            Some((authority, "transport=tcp")) => (authority, Some(true)),
            Some(_) => return Err(UriError::Query),
        };
        let (host, port) = if let Some(literal) = authority.strip_prefix('[') {
            let (inside, after) = literal.split_once(']').ok_or(UriError::Host)?;
            // Whether it is an address that exists is for the browser to say; nothing else fits in brackets.
            let hex = |b: u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.');
            if !inside.contains(':') || !inside.bytes().all(hex) {
                return Err(UriError::Host);
            }
            let port = match after {
                "" => None,
                _ => Some(after.strip_prefix(':').ok_or(UriError::Host)?),
            };
            (authority.strip_suffix(after).ok_or(UriError::Host)?, port)
        } else {
            match authority.split_once(':') {
                None => (authority, None),
                Some((host, port)) => (host, Some(port)),
            }
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
        if !host.starts_with('[') && (host.is_empty() || !host.bytes().all(plain)) {
            return Err(UriError::Host);
        }
        let port = match port {
            None => None,
            Some(text) => Some(
                decimal::digits(text)
                    .and_then(|port| u16::try_from(port).ok())
                    .filter(|port| *port != 0 && text.len() <= 5)
                    .ok_or(UriError::Port)?,
            ),
        };
        Ok(Self {
            scheme,
            host: host.to_owned(),
            port,
            tcp,
        })
    }
}

impl fmt::Display for IceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> IceUri {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn the_examples_of_the_rfcs_parse_and_print_back() {
        for text in [
            "stun:example.org",
            "stuns:example.org",
            "stun:example.org:8000",
            "turn:example.org",
            "turns:example.org",
            "turn:example.org:8000",
            "turn:example.org?transport=udp",
            "turn:example.org?transport=tcp",
            "turns:example.org?transport=tcp",
            "turn:192.0.2.7:3478",
            "turn:[2001:db8::1]:3478?transport=udp",
            "stun:[::1]",
        ] {
            assert_eq!(parse(text).to_string(), text);
        }
    }

    #[test]
    fn default_ports_and_transports_follow_the_scheme() {
        for (text, port, transport) in [
            ("stun:a", 3478, Transport::Udp),
            ("stuns:a", 5349, Transport::Tls),
            ("turn:a", 3478, Transport::Udp),
            ("turn:a?transport=tcp", 3478, Transport::Tcp),
            ("turns:a", 5349, Transport::Tls),
            ("turns:a:443?transport=tcp", 443, Transport::Tls),
            ("turns:a?transport=udp", 5349, Transport::Udp),
        ] {
            assert_eq!(
                (parse(text).port(), parse(text).transport()),
                (port, transport),
                "{text}"
            );
        }
    }

    #[test]
    fn the_scheme_is_read_in_any_case() {
        assert_eq!(parse("TURN:Example.org").to_string(), "turn:Example.org");
        assert!(parse("turn:A?transport=tcp").is_same_place(&parse("turn:a:3478")));
        assert!(!parse("turn:a").is_same_place(&parse("turns:a:3478")));
    }

    #[test]
    fn what_browsers_refuse_is_refused_with_the_reason() {
        for (text, error) in [
            ("", UriError::Scheme),
            ("example.org", UriError::Scheme),
            ("http://example.org", UriError::Scheme),
            (" turn:example.org", UriError::Scheme),
            ("turn:", UriError::Host),
            ("turn://example.org", UriError::Host),
            ("turn:user@example.org", UriError::Host),
            ("turn:exa mple.org", UriError::Host),
            ("turn:example.org#f", UriError::Host),
            ("turn:[::1", UriError::Host),
            ("turn:[::g]", UriError::Host),
            ("turn:[::1]x", UriError::Host),
            ("turn:::1", UriError::Host),
            ("turn:example.org:", UriError::Port),
            ("turn:example.org:0", UriError::Port),
            ("turn:example.org:65536", UriError::Port),
            ("turn:example.org:+80", UriError::Port),
            ("turn:example.org:80:80", UriError::Port),
            ("turn:example.org:99999999999999999999", UriError::Port),
            ("turn:example.org?transport=", UriError::Query),
            ("turn:example.org?transport=sctp", UriError::Query),
            ("turn:example.org?transport=udp&x=1", UriError::Query),
            ("stun:example.org?transport=udp", UriError::Query),
        ] {
            assert_eq!(text.parse::<IceUri>(), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_refused_and_prints_back_to_itself(text in "(?i:stuns?|turns?)?:?.{0,40}") {
            if let Ok(uri) = text.parse::<IceUri>() {
                prop_assert_eq!(parse(&uri.to_string()), uri);
            }
        }
    }
}
