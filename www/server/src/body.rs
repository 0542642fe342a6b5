//! A request's JSON body, read with a limit on its size and on the time it may take.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::api_error::ApiError;

pub const LIMIT: usize = 16 * 1024;

/// Longest wait for a body; the largest one allowed takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

pub async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > LIMIT as u64) {
        return Err(too_large());
    }
    match tokio::time::timeout(PATIENCE, axum::body::to_bytes(body, LIMIT)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            let limit = std::error::Error::source(&error)
                .is_some_and(|source| source.is::<http_body_util::LengthLimitError>());
            Err(if limit {
                too_large()
            } else {
                ApiError::bad_request(
                    "body-broken",
                    "the body ended too soon; send the request again",
                )
            })
        }
        Err(_) => Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "body-timeout",
            "the body took too long; send it within 10 seconds",
        )),
    }
}

/// The body as JSON; `None` if there is none.
pub async fn read_json(headers: &HeaderMap, body: Body) -> Result<Option<Value>, ApiError> {
    let bytes = read(headers, body).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    // A form on another site can send text or form data without asking, but not JSON.
    let media = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/json") {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "body-not-json",
            "send the body as JSON, with Content-Type: application/json",
        ));
    }
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        ApiError::bad_request("body-not-json", format!("the body is not JSON: {error}"))
    })
}

fn too_large() -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body-too-large",
        "the body is over 16 KiB; send only what the endpoint asks for",
    )
}
