//! STUN and TURN URIs (RFC 7064, RFC 7065).
//!
//! These are not hierarchical URLs: no `//`, no path, no user, and the only query is `?transport=udp|tcp` on a TURN
//! URI. What the browsers' `RTCPeerConnection` refuses is refused here, with the reason.

use super::decimal;
use super::text;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::str::FromStr;

/// How a client reaches the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
}

/// A parsed URI. Prints as it is handed to the browser: the scheme in lower case, the rest as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceUri(Arc<Parts>);

#[derive(Debug, PartialEq, Eq)]
struct Parts {
    text: String,
    /// Where the host's name ends in the text.
    host_end: usize,
    turn: bool,
    port: u16,
    transport: Transport,
}

impl IceUri {
    /// TURN relays and needs a credential; STUN does neither.
    pub fn is_turn(&self) -> bool {
        self.0.turn
    }

    /// The port, or the scheme's default: 3478, with TLS 5349 (RFC 7064 and RFC 7065, section 3.2).
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// The transport to the server (RFC 7065 section 3.1; without a query UDP, with TLS TCP).
    pub fn transport(&self) -> Transport {
        self.0.transport
    }

    /// The URI as it is handed to the browser.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// Whether both name one server port. Firefox reports errors of `turn:…?transport=…` without the query.
    pub fn is_same_place(&self, other: &Self) -> bool {
        let host = |uri: &Self| text::part(uri.as_str(), 0, uri.0.host_end).to_ascii_lowercase();
        self.port() == other.port() && host(self) == host(other)
    }
}

/// Why a text is no STUN or TURN URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UriError {
    Scheme,
    Host,
    Port,
    Query,
    /// For such a URL Firefox refuses all servers: <https://fetch.spec.whatwg.org/#port-blocking>, less 53.
    Refused,
}

impl UriError {
    /// What was expected.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheme => "a stun:, stuns:, turn: or turns: URL",
            Self::Host => "a host name or address after the scheme, without \"//\"",
            Self::Port => "a port from 1 to 65535",
            Self::Query => "no query other than ?transport=udp or ?transport=tcp",
            Self::Refused => "neither stuns: nor a port that browsers block",
        }
    }
}

/// The ports that browsers block, each by its distance from the one before.
const BLOCKED: [u16; 81] = [
    1, 6, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 2, 12, 5, 1, 26, 8, 2, 8, 8, 6, 1, 1, 1, 5, 1, 1, 2, 2, 2,
    2, 4, 12, 2, 2, 4, 18, 18, 210, 38, 38, 47, 1, 1, 1, 11, 4, 1, 1, 8, 8, 6, 2, 7, 24, 14, 35,
    353, 1, 3, 2, 724, 1, 3, 326, 1610, 386, 145, 870, 1, 939, 566, 99, 1, 1, 1, 1, 10, 18, 3383,
];

impl fmt::Display for UriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::error::Error for UriError {}

impl FromStr for IceUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let text = text.trim_ascii();
        let (name, mut rest) = text::cut(text, b':');
        let name = name.to_ascii_lowercase();
        let plain = name.strip_suffix("s").unwrap_or(&name);
        let tls = plain.len() < name.len();
        let turn = plain == "turn";
        if !turn && plain != "stun" || name.len() == text.len() {
            return Err(UriError::Scheme);
        }
        let query = text::find(rest, b'?').unwrap_or(rest.len());
        if !turn {
            // Old samples of Twilio have one. Browsers take none.
            rest = text::part(rest, 0, query);
        }
        let transport = match text::part(rest, query, rest.len()) {
            "" if tls => Transport::Tls,
            "" => Transport::Udp,
            // With TLS this is TURN over DTLS: no browser does it, but it is what the URI says.
            "?transport=udp" => Transport::Udp,
            "?transport=tcp" if tls => Transport::Tls,
            "?transport=tcp" => Transport::Tcp,
            _ => return Err(UriError::Query),
        };
        let literal = rest.starts_with("[");
        let end = text::find(rest, if literal { b']' } else { b':' });
        let end = end.unwrap_or(query).min(query);
        let host = text::part(rest, literal.into(), end);
        let host_end = end + usize::from(literal);
        // Whether an address in brackets exists is for the browser to say; nothing else fits there.
        let signs = if literal { ":." } else { "-._~" };
        let fits = host.bytes().all(|b| {
            let plain = b.is_ascii_alphanumeric() && (!literal || b.is_ascii_hexdigit());
            plain || text::find(signs, b).is_some()
        });
        let (bracket, after) = (
            text::part(rest, end, host_end),
            text::part(rest, host_end, query),
        );
        if !fits
            || host.is_empty()
            || literal && (bracket != "]" || text::find(host, b':').is_none())
            || !after.is_empty() && !after.starts_with(":")
        {
            return Err(UriError::Host);
        }
        let port = if after.is_empty() {
            if tls { 5349 } else { 3478 }
        } else {
            decimal::digits(text::part(after, 1, after.len())).unwrap_or(0)
        };
        if port == 0 || port > 65_535 || after.len() > 6 {
            return Err(UriError::Port);
        }
        let mut blocked = 0;
        let is_blocked = BLOCKED.iter().any(|step| {
            blocked += u64::from(*step);
            blocked == port
        });
        if is_blocked || tls && !turn {
            return Err(UriError::Refused);
        }
        Ok(Self(Arc::new(Parts {
            text: text::concat(&[&name, ":", rest]),
            host_end: name.len() + 1 + host_end,
            turn,
            port: port as u16,
            transport,
        })))
    }
}

impl fmt::Display for IceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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
            ("stuns:example.org", UriError::Refused),
            ("turn:example.org:1", UriError::Refused),
            ("turn:example.org:22", UriError::Refused),
            ("stun:example.org:10080", UriError::Refused),
        ] {
            assert_eq!(text.parse::<IceUri>(), Err(error), "{text}");
        }
    }

    #[test]
    fn the_ports_that_browsers_block_are_all_in_the_list() {
        let ports = [
            1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 69, 77, 79, 87, 95, 101,
            102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179,
            389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587,
            601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061,
            6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
        ];
        for port in 1..=u16::MAX {
            let parsed = format!("turn:a:{port}").parse::<IceUri>();
            assert_eq!(parsed.is_err(), ports.contains(&port), "{port}");
        }
    }

    #[test]
    fn spaces_around_a_uri_and_a_query_on_stun_are_taken_off() {
        assert_eq!(parse(" turn:example.org\n").to_string(), "turn:example.org");
        assert_eq!(
            parse("stun:example.org:3478?transport=udp").to_string(),
            "stun:example.org:3478"
        );
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
