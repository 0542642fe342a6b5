//! How the credential endpoint misbehaves, for tests and for the demo page's buttons. Only with `--faults`.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::channel::Channel;
use serde::Deserialize;

use crate::api_error::ApiError;

/// Longest delay and longest answer that a test can ask for.
const MAX_SECONDS: f64 = 600.0;
const MAX_BODY: usize = 64 << 20;

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(
    tag = "mode",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum Mode {
    /// As it should be.
    None,
    /// An error with this status.
    Status { status: u16 },
    /// No answer at all.
    Hang,
    /// The right answer, late.
    Delay { seconds: f64 },
    /// An error that says when to come back.
    RetryAfter {
        seconds: u64,
        #[serde(default = "too_many")]
        status: u16,
    },
    /// Exactly this answer; `repeat` writes the body more than once, for large ones.
    Body {
        #[serde(default = "created")]
        status: u16,
        #[serde(default = "json")]
        content_type: String,
        #[serde(default)]
        body: String,
        #[serde(default = "once")]
        repeat: usize,
    },
    /// An answer whose body never ends.
    Stall {
        #[serde(default = "created")]
        status: u16,
    },
}

fn too_many() -> u16 {
    429
}

fn created() -> u16 {
    201
}

fn json() -> String {
    "application/json".to_owned()
}

fn once() -> usize {
    1
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Fault {
    #[serde(flatten)]
    mode: Mode,
    /// For so many requests; without it until changed.
    times: Option<u32>,
}

impl Fault {
    pub fn parse(value: serde_json::Value) -> Result<Self, ApiError> {
        let wrong = |message: String| ApiError::bad_request("fault-invalid", message);
        let fault: Self = serde_json::from_value(value)
            .map_err(|error| wrong(format!("this is no fault: {error}")))?;
        match &fault.mode {
            Mode::Status { status }
            | Mode::RetryAfter { status, .. }
            | Mode::Body { status, .. }
            | Mode::Stall { status }
                if !(200..=599).contains(status) =>
            {
                Err(wrong("status must be from 200 to 599".to_owned()))
            }
            Mode::Delay { seconds } if !(0.0..=MAX_SECONDS).contains(seconds) => {
                Err(wrong(format!("seconds must be from 0 to {MAX_SECONDS}")))
            }
            Mode::Body {
                body,
                repeat,
                content_type,
                ..
            } if body.len().saturating_mul(*repeat) > MAX_BODY
                || HeaderValue::from_str(content_type).is_err() =>
            {
                Err(wrong(
                    "the body may not exceed 64 MiB, and contentType must be fit for a header"
                        .to_owned(),
                ))
            }
            _ => Ok(fault),
        }
    }
}

#[derive(Debug)]
pub struct Faults {
    current: Mutex<Fault>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            current: Mutex::new(Fault {
                mode: Mode::None,
                times: None,
            }),
        }
    }
}

impl Faults {
    pub fn set(&self, fault: Fault) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    fn next(&self) -> Mode {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut current.times {
            None => {}
            Some(0) => return Mode::None,
            Some(times) => *times -= 1,
        }
        current.mode.clone()
    }

    /// The wrong answer; `None` if the right one should follow.
    pub async fn meet(&self) -> Option<Response> {
        let status =
            |code: u16| StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let fault =
            |code: u16| ApiError::new(status(code), "fault", "the server was told to misbehave");
        match self.next() {
            Mode::None => None,
            Mode::Status { status } => Some(fault(status).into_response()),
            Mode::Hang => std::future::pending().await,
            Mode::Delay { seconds } => {
                tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
                None
            }
            Mode::RetryAfter { seconds, status } => {
                Some(fault(status).retry_after(seconds).into_response())
            }
            Mode::Body {
                status: code,
                content_type,
                body,
                repeat,
            } => {
                let media = HeaderValue::try_from(content_type).ok()?;
                Some((status(code), [(CONTENT_TYPE, media)], body.repeat(repeat)).into_response())
            }
            Mode::Stall { status: code } => {
                let (mut sender, body) = Channel::<Bytes>::new(1);
                tokio::spawn(async move {
                    // Ends when the client has given up.
                    while sender.send_data(Bytes::from_static(b" ")).await.is_ok() {
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                });
                Some(
                    (
                        status(code),
                        [(CONTENT_TYPE, "application/json")],
                        Body::new(body),
                    )
                        .into_response(),
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_fault_given_a_number_of_times_is_over_after_them() {
        let faults = Faults::default();
        faults.set(Fault::parse(json!({ "mode": "status", "status": 500, "times": 2 })).unwrap());
        let status = Mode::Status { status: 500 };
        assert_eq!(
            [faults.next(), faults.next(), faults.next()],
            [status.clone(), status, Mode::None]
        );
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        for wrong in [
            json!({}),
            json!({ "mode": "explode" }),
            json!({ "mode": "status" }),
            json!({ "mode": "status", "status": 99 }),
            json!({ "mode": "delay", "seconds": -1 }),
            json!({ "mode": "body", "body": "x", "repeat": 1u64 << 40 }),
        ] {
            assert_eq!(
                Fault::parse(wrong.clone()).unwrap_err().status,
                StatusCode::BAD_REQUEST,
                "{wrong}"
            );
        }
    }
}
