//! The two endpoints that an app's own backend needs: mint a credential, and revoke it again.
//!
//! Every request passes the same checks in the same order: from our own pages (403), in a session (401), not too many
//! (429), well-formed (400, 413, 415).

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tracing::{info, warn};

use crate::api_error::ApiError;
use crate::body;
use crate::cloudflare::UpstreamError;
use crate::credential::prefix;
use crate::options::MAX_TTL;
use crate::server::App;
use crate::session::SessionId;

/// `POST /api/turn-credentials`: 201 with ice servers, their ttl in seconds and their expiry.
pub async fn mint(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    if let Some(faults) = &app.faults
        && let Some(response) = faults.meet().await
    {
        return Ok(response);
    }
    let session = admit(&app, request.headers())?;
    let (head, body) = request.into_parts();
    let ttl = requested_ttl(body::read_json(&head.headers, body).await?)?.unwrap_or(app.ttl);

    // The credential's life begins when it is asked for, so that what the page believes is never longer than the truth.
    let asked = SystemTime::now();
    let ice_servers = app
        .key
        .generate(ttl, None)
        .await
        .map_err(|error| upstream(&error))?;
    let expires_at = asked + Duration::from_secs(ttl);
    for username in ice_servers
        .iter()
        .filter_map(|server| server.username.as_deref())
    {
        app.sessions.gave(&session, username, expires_at);
        info!(target: "api", username = %prefix(username), ttl, "credential given");
    }
    let body = json!({
        "iceServers": ice_servers,
        "ttl": ttl,
        "expiresAt": humantime::format_rfc3339_millis(expires_at).to_string(),
    });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// `POST /api/turn-credentials/revoke` `{username}`: 204 when the username is worth nothing any more.
pub async fn revoke(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let session = admit(&app, request.headers())?;
    let (head, body) = request.into_parts();
    let username = username(body::read_json(&head.headers, body).await?)?;
    if !app.sessions.owns(&session, &username) {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "not-yours",
            "this username was not given to this session, or has expired; a page can revoke only its own",
        ));
    }
    match app.key.revoke(&username).await {
        // A provider that has forgotten the username accepts it no longer, which is what was asked for.
        Ok(()) | Err(UpstreamError::Status { status: 404, .. }) => {}
        Err(error) => return Err(upstream(&error)),
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub async fn not_found() -> ApiError {
    ApiError::not_found()
}

pub async fn method_not_allowed() -> ApiError {
    ApiError::method_not_allowed()
}

/// Around everything: refuses requests addressed to another host (a name that an attacker points at loopback would
/// otherwise count as our own site) and requests that another site's page makes.
pub async fn guard(request: Request, next: Next) -> Response {
    match check_origin(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// On everything below /api/.
pub async fn no_store(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn check_origin(headers: &HeaderMap) -> Result<(), ApiError> {
    let host = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    // An IPv6 address in brackets holds colons of its own.
    let end = host
        .find(']')
        .map_or_else(|| host.find(':'), |bracket| Some(bracket + 1));
    let name = end.and_then(|end| host.get(..end)).unwrap_or(host);
    if !matches!(name, "127.0.0.1" | "localhost" | "[::1]") && !name.ends_with(".localhost") {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "foreign-host",
            "this server answers on loopback only; open it as http://127.0.0.1 or http://localhost",
        ));
    }
    let Some(origin) = headers.get(ORIGIN) else {
        return Ok(());
    };
    let own = origin
        .to_str()
        .ok()
        .and_then(|origin| {
            origin
                .strip_prefix("http://")
                .or_else(|| origin.strip_prefix("https://"))
        })
        .is_some_and(|authority| authority == host);
    if own {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "foreign-origin",
        "the request comes from another site; only pages served from here may make it",
    ))
}

/// Lets a page of ours in: 401 without a session, 429 if it asks too often.
pub fn admit(app: &App, headers: &HeaderMap) -> Result<SessionId, ApiError> {
    let session = app
        .sessions
        .find(headers, SystemTime::now())
        .ok_or_else(|| {
            ApiError::new(
                StatusCode::UNAUTHORIZED,
                "no-session",
                "there is no session, or it has ended; load the page (again) to start one",
            )
        })?;
    app.sessions
        .admit(&session, Instant::now())
        .map_err(|seconds| {
            ApiError::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-requests",
                "too many requests in this session; wait as long as Retry-After says",
            )
            .retry_after(seconds)
        })?;
    Ok(session)
}

fn requested_ttl(body: Option<Value>) -> Result<Option<u64>, ApiError> {
    let Some(body) = body else { return Ok(None) };
    let Value::Object(fields) = body else {
        return Err(ApiError::bad_request(
            "body-invalid",
            "the body must be a JSON object, such as {\"ttl\": 60}",
        ));
    };
    match fields.get("ttl") {
        None => Ok(None),
        Some(ttl) => match ttl.as_u64() {
            Some(ttl) if (1..=MAX_TTL).contains(&ttl) => Ok(Some(ttl)),
            _ => Err(ApiError::bad_request(
                "ttl-invalid",
                "ttl must be a whole number of seconds from 1 to 172800",
            )),
        },
    }
}

/// The `username` of a body such as `{"username": "…"}`.
pub fn username(body: Option<Value>) -> Result<String, ApiError> {
    body.as_ref()
        .and_then(|body| body.get("username"))
        .and_then(Value::as_str)
        .filter(|username| !username.is_empty())
        .map(str::to_owned)
        .ok_or_else(|| {
            ApiError::bad_request(
                "username-missing",
                "the body must be {\"username\": \"…\"}, the username to revoke",
            )
        })
}

/// What the page may know about trouble upstream, and what the log says.
fn upstream(error: &UpstreamError) -> ApiError {
    warn!(target: "api", %error, "upstream failed");
    match error {
        UpstreamError::Unreachable | UpstreamError::Timeout => ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "upstream-unreachable",
            "the TURN provider cannot be reached; try again in a moment",
        )
        .retry_after(1),
        UpstreamError::Status {
            status: 429 | 500..,
            retry_after,
        } => ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "upstream-unavailable",
            "the TURN provider is not available; try again in a moment",
        )
        .retry_after(retry_after.unwrap_or(1)),
        UpstreamError::Status { .. } => ApiError::new(
            StatusCode::BAD_GATEWAY,
            "upstream-refused",
            "the TURN provider refused this server; whoever runs it has to check its key and token",
        ),
        UpstreamError::Malformed => ApiError::new(
            StatusCode::BAD_GATEWAY,
            "upstream-malformed",
            "the TURN provider's answer could not be understood",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: &str, origin: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        headers
    }

    #[test]
    fn our_own_pages_and_programs_without_an_origin_pass() {
        for (host, origin) in [
            ("127.0.0.1:8080", None),
            ("127.0.0.1:8080", Some("http://127.0.0.1:8080")),
            ("localhost:8080", Some("http://localhost:8080")),
            ("localhost", Some("https://localhost")),
            ("[::1]:8080", Some("http://[::1]:8080")),
            ("[::1]", None),
            ("app.localhost:8080", None),
        ] {
            assert_eq!(
                check_origin(&headers(host, origin)),
                Ok(()),
                "{host} {origin:?}"
            );
        }
    }

    #[test]
    fn another_site_another_port_and_a_hidden_origin_are_foreign() {
        for origin in [
            "https://example.com",
            "http://127.0.0.1:8081",
            "http://localhost:8080",
            "null",
            "127.0.0.1:8080",
        ] {
            let error = check_origin(&headers("127.0.0.1:8080", Some(origin))).unwrap_err();
            assert_eq!(
                (error.status, error.code),
                (StatusCode::FORBIDDEN, "foreign-origin"),
                "{origin}"
            );
        }
    }

    #[test]
    fn a_name_pointed_at_loopback_is_no_host_of_ours() {
        for host in [
            "evil.example:8080",
            "evil.example",
            "",
            "127.0.0.1.evil.example",
        ] {
            let error = check_origin(&headers(host, None)).unwrap_err();
            assert_eq!(error.code, "foreign-host", "{host}");
        }
    }

    #[test]
    fn a_ttl_is_a_whole_number_of_seconds_within_48_hours() {
        assert_eq!(requested_ttl(None), Ok(None));
        assert_eq!(requested_ttl(Some(json!({}))), Ok(None));
        assert_eq!(
            requested_ttl(Some(json!({ "ttl": 172_800 }))),
            Ok(Some(MAX_TTL))
        );
        for wrong in [
            json!({ "ttl": 0 }),
            json!({ "ttl": -1 }),
            json!({ "ttl": 1.5 }),
            json!({ "ttl": "60" }),
            json!({ "ttl": 172_801 }),
            json!([]),
        ] {
            assert_eq!(
                requested_ttl(Some(wrong.clone())).unwrap_err().status,
                StatusCode::BAD_REQUEST,
                "{wrong}"
            );
        }
    }
}
