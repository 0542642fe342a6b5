//! Which addresses a credential may be fetched from.

use super::failure::{Code, Failure};

/// Hosts whose API takes the TURN key itself, which must never reach a browser.
const PROVIDER_APIS: [&str; 2] = ["rtc.live.cloudflare.com", "api.cloudflare.com"];

/// An address as the browser's URL parser took it apart, and where the page stands.
#[derive(Clone, Copy, Debug)]
pub struct SourceUrl<'a> {
    /// With its colon: `https:`.
    pub protocol: &'a str,
    /// Lower case, an IPv6 address in brackets.
    pub hostname: &'a str,
    /// It is of the page's own origin, and the page is a secure context (W3C Secure Contexts).
    pub trusted: bool,
}

impl SourceUrl<'_> {
    /// # Errors
    /// [`Code::SecretInBrowser`] for the provider's own API; [`Code::InsecureSource`] for anything but https, loopback
    /// (W3C Secure Contexts section 3.1) and the origin of a page that is a secure context.
    pub fn check(&self, option: &str) -> Result<(), Failure> {
        if PROVIDER_APIS.contains(&self.hostname) {
            return Err(Failure::of(
                Code::SecretInBrowser,
                false,
                &[
                    option,
                    ": ",
                    self.hostname,
                    " is the TURN provider's own API, which takes a secret key that must stay on your backend; \
                     name an endpoint of your backend that calls it (README, \"Your backend\")",
                ],
            ));
        }
        let loopback = self.hostname == "localhost"
            || self.hostname.ends_with(".localhost")
            || self.hostname == "[::1]"
            // The browser's URL parser leaves only addresses with such a host (WHATWG URL section 3.5).
            || (self.hostname.starts_with("127.")
                && self.hostname.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
        let http = self.protocol == "http:";
        if self.protocol == "https:" || (http && (loopback || self.trusted)) {
            return Ok(());
        }
        Err(Failure::of(
            Code::InsecureSource,
            false,
            &[
                option,
                ": credentials may only travel over https, or http on a loopback address; got ",
                self.protocol,
                "//",
                self.hostname,
            ],
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(protocol: &str, hostname: &str, trusted: bool) -> Option<Code> {
        SourceUrl {
            protocol,
            hostname,
            trusted,
        }
        .check("source")
        .err()
        .map(|failure| failure.code)
    }

    #[test]
    fn https_and_loopback_are_accepted() {
        for (protocol, host) in [
            ("https:", "app.example"),
            ("http:", "localhost"),
            ("http:", "app.localhost"),
            ("http:", "127.0.0.1"),
            ("http:", "127.8.8.8"),
            ("http:", "[::1]"),
        ] {
            assert_eq!(check(protocol, host, false), None, "{protocol}//{host}");
        }
        assert_eq!(check("http:", "intranet", true), None);
    }

    #[test]
    fn the_rest_is_refused() {
        for (protocol, host) in [
            ("http:", "app.example"),
            ("http:", "10.0.0.1"),
            ("http:", "localhost.example"),
            ("ftp:", "localhost"),
            ("data:", ""),
        ] {
            assert_eq!(
                check(protocol, host, false),
                Some(Code::InsecureSource),
                "{protocol}//{host}"
            );
        }
        assert_eq!(
            check("http:", "app.example", false),
            Some(Code::InsecureSource)
        );
    }

    #[test]
    fn the_providers_api_is_named_as_what_it_is() {
        assert_eq!(
            check("https:", "rtc.live.cloudflare.com", false),
            Some(Code::SecretInBrowser)
        );
        assert_eq!(
            check("https:", "api.cloudflare.com", false),
            Some(Code::SecretInBrowser)
        );
    }
}
