//! A request's JSON body, read with a limit on its size and on the time it may take.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use axum::http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;

use crate::api_error::ApiError;

pub const LIMIT: usize = 16 * 1024;

/// Longest wait for a body; the largest one allowed takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much of a body that is too large is read and thrown away. A client that sends all before it listens would not hear
/// the answer otherwise: what is left unread at the end of a connection resets it.
const DISCARDED: usize = 32 << 20;

pub async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok())
        .unwrap_or_default();
    let waits = headers.contains_key(EXPECT);
    if announced > LIMIT as u64 && (waits || announced > DISCARDED as u64) {
        return Err(too_large());
    }
    match tokio::time::timeout(PATIENCE, collect(body)).await {
        Ok(read) => read,
        Err(_) => Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "body-timeout",
            "the body took too long; send it within 10 seconds",
        )),
    }
}

async fn collect(mut body: Body) -> Result<Bytes, ApiError> {
    let (mut kept, mut length) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| {
            ApiError::bad_request(
                "body-broken",
                "the body ended too soon, or is not framed as its head says; send the request again",
            )
        })?;
        let Ok(part) = frame.into_data() else {
            continue; // trailers
        };
        length += part.len();
        if length <= LIMIT {
            kept.extend_from_slice(&part);
        } else if length > DISCARDED {
            break;
        }
    }
    if length > LIMIT {
        return Err(too_large());
    }
    Ok(kept.into())
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
