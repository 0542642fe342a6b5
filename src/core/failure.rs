//! What went wrong, in the terms that the package's `TurnError` shows.

use super::decimal::decimal;
use super::text::concat;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::ops::Deref;

/// The stable codes of the package's errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Code {
    UnsupportedEnvironment,
    InvalidOption,
    InsecureSource,
    SecretInBrowser,
    Network,
    Timeout,
    HttpStatus,
    ResponseTooLarge,
    ResponseNotJson,
    ResponseInvalid,
    Expired,
    Closed,
    ApplyFailed,
    Aborted,
}

impl Code {
    const ALL: [Self; 14] = [
        Self::UnsupportedEnvironment,
        Self::InvalidOption,
        Self::InsecureSource,
        Self::SecretInBrowser,
        Self::Network,
        Self::Timeout,
        Self::HttpStatus,
        Self::ResponseTooLarge,
        Self::ResponseNotJson,
        Self::ResponseInvalid,
        Self::Expired,
        Self::Closed,
        Self::ApplyFailed,
        Self::Aborted,
    ];

    /// The code that JavaScript names; what is none counts as a network failure.
    pub fn parse(name: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|code| code.as_str() == name)
            .unwrap_or(Self::Network)
    }

    /// The code as JavaScript sees it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnsupportedEnvironment => "unsupported-environment",
            Self::InvalidOption => "invalid-option",
            Self::InsecureSource => "insecure-source",
            Self::SecretInBrowser => "secret-in-browser",
            Self::Network => "network",
            Self::Timeout => "timeout",
            Self::HttpStatus => "http-status",
            Self::ResponseTooLarge => "response-too-large",
            Self::ResponseNotJson => "response-not-json",
            Self::ResponseInvalid => "response-invalid",
            Self::Expired => "expired",
            Self::Closed => "closed",
            Self::ApplyFailed => "apply-failed",
            Self::Aborted => "aborted",
        }
    }
}

/// An error with its code. The state, the events and the answers share one.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure(Arc<Details>);

/// What an error tells. The message holds no secret.
#[derive(Clone, Debug, PartialEq)]
pub struct Details {
    pub code: Code,
    pub message: String,
    /// The HTTP status, with [`Code::HttpStatus`]; 0 for none.
    pub status: u16,
    /// Whether the same request may succeed later without a change.
    pub retryable: bool,
    /// The wait that the server asked for, in milliseconds from the response's arrival.
    pub retry_after: Option<u64>,
}

impl Deref for Failure {
    type Target = Details;

    fn deref(&self) -> &Details {
        &self.0
    }
}

impl Failure {
    pub fn new(details: Details) -> Self {
        Self(Arc::new(details))
    }

    /// A failure that needs a change first or, if `retryable`, that a later try may mend.
    #[inline(never)]
    pub fn of(code: Code, retryable: bool, message: &[&str]) -> Self {
        Self::new(Details {
            code,
            message: concat(message),
            status: 0,
            retryable,
            retry_after: None,
        })
    }

    /// A failure that a later try may mend.
    pub fn retryable(code: Code, message: &str) -> Self {
        Self::of(code, true, &[message])
    }

    /// A failure that needs a change first.
    pub fn fatal(code: Code, message: &str) -> Self {
        Self::of(code, false, &[message])
    }

    /// Whether the backend, or the app's own provider function, said no. A refusal is not repeated by itself; a response
    /// that cannot be read is, for it may come from a captive portal or from a deployment under way.
    pub fn is_refusal(&self) -> bool {
        !self.retryable
            && !matches!(
                self.code,
                Code::ResponseInvalid | Code::ResponseNotJson | Code::ResponseTooLarge
            )
    }

    /// An HTTP status other than 2xx. 4xx other than 408 (Request Timeout), 425 (Too Early) and 429 (Too Many
    /// Requests) is a refusal (RFC 9110 section 15.5); so is a redirect that `fetch` did not follow.
    pub fn from_status(status: u16, retry_after: Option<u64>) -> Self {
        let retryable = status >= 500 || matches!(status, 408 | 425 | 429);
        let hint = match status {
            401 | 403 => "is the user signed in, and is this page's origin allowed?",
            404 | 405 => {
                "is the `source` option the address of the credential endpoint, and does it take this method?"
            }
            429 => "the backend asks for fewer requests",
            500.. => "the backend or its TURN provider is in trouble; see the backend's log",
            _ => "see the backend's log",
        };
        Self::new(Details {
            code: Code::HttpStatus,
            message: concat(&[
                "the credential endpoint answered with status ",
                &decimal(status.into()),
                ", expected 200 or 201: ",
                hint,
            ]),
            status,
            retryable,
            retry_after,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl core::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_divide_into_refusals_and_trouble() {
        for status in [400, 401, 403, 404, 405, 410, 422, 301] {
            assert!(!Failure::from_status(status, None).retryable, "{status}");
        }
        for status in [408, 425, 429, 500, 502, 503, 504] {
            assert!(Failure::from_status(status, None).retryable, "{status}");
        }
    }
}
