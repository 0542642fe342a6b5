//! Where pages are served from, as a browser's `Origin` header says it: scheme, host, and port unless it is the usual one.

use std::str::FromStr;

use axum::http::Uri;
use axum::http::uri::Scheme;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    text: String,
    authority: usize,
}

impl Origin {
    /// Host, and port if there is one: what the `Host` header holds.
    pub fn authority(&self) -> &str {
        self.text.get(self.authority..).unwrap_or_default()
    }

    pub fn is(&self, origin: &str) -> bool {
        self.text == origin
    }

    pub fn is_secure(&self) -> bool {
        self.text.starts_with("https:")
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "expected an origin as browsers write it, such as https://demo.example: no path, no usual port".to_owned()
        };
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let scheme = uri.scheme().cloned().ok_or_else(wrong)?;
        let authority = uri.authority().ok_or_else(wrong)?;
        let usual = match (&scheme, authority.port_u16()) {
            (_, None) => false,
            (scheme, Some(80)) if *scheme == Scheme::HTTP => true,
            (scheme, Some(443)) if *scheme == Scheme::HTTPS => true,
            _ => false,
        };
        let known = scheme == Scheme::HTTP || scheme == Scheme::HTTPS;
        let whole = format!("{scheme}://{authority}");
        if !known
            || usual
            || whole != text
            || authority.as_str().contains('@')
            || text.chars().any(|c| c.is_ascii_uppercase())
        {
            return Err(wrong());
        }
        Ok(Self {
            authority: text.len() - authority.as_str().len(),
            text: whole,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_and_an_authority() {
        let origin: Origin = "https://demo.example:8443".parse().unwrap();
        assert_eq!(origin.authority(), "demo.example:8443");
        assert!(origin.is("https://demo.example:8443") && origin.is_secure());
        assert!(!"http://demo.example".parse::<Origin>().unwrap().is_secure());
    }

    #[test]
    fn what_no_browser_sends_as_an_origin_is_refused() {
        for wrong in [
            "",
            "demo.example",
            "https://",
            "https://demo.example/",
            "https://demo.example/path",
            "https://demo.example:443",
            "http://demo.example:80",
            "https://Demo.example",
            "https://user@demo.example",
            "ftp://demo.example",
            "null",
        ] {
            assert!(wrong.parse::<Origin>().is_err(), "{wrong}");
        }
    }
}
