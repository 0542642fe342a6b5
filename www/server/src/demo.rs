//! What tests and the demo page may look at and break. Exists only with the embedded TURN server, since nobody else's
//! service may be looked into like this.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::api;
use crate::api_error::ApiError;
use crate::body;
use crate::credential::prefix;
use crate::fault::{Fault, Faults};
use crate::server::App;

/// Longest silence of the TURN server that a page can ask for, in seconds.
const MAX_SILENCE: f64 = 60.0;

/// `GET /api/demo`: what a page can do here, so that it offers nothing else.
pub async fn about(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({
        "ttl": app.ttl,
        "maxTtl": app.max_ttl,
        "embedded": app.embedded.is_some(),
        "faults": app.faults.is_some(),
    }))
}

/// `GET /api/demo/turn`: the live allocations, and what has happened so far.
pub async fn turn(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    let embedded = app.embedded.as_ref().ok_or_else(ApiError::not_found)?;
    let allocations: Vec<Value> = embedded
        .turn
        .allocations()
        .await
        .into_iter()
        .map(|allocation| {
            let expires_at = embedded.store.expires_at(&allocation.username);
            json!({
                "username": prefix(&allocation.username),
                "expiresAt": expires_at.map(|at| humantime::format_rfc3339_millis(at).to_string()),
                "protocol": allocation.transport.name(),
                "relayedBytes": allocation.relayed_bytes,
            })
        })
        .collect();
    let counts = embedded.store.counts();
    let (refused, peak) = embedded.turn.refused_and_peak();
    Ok(Json(json!({
        "allocations": allocations,
        "counters": {
            "minted": counts.minted,
            "revoked": counts.revoked,
            "expired": counts.expired,
            "refused": refused,
            "peak": peak,
        },
    })))
}

/// `POST /api/demo/revoke` `{username}`: revokes as the provider would, without the page's SDK knowing. Whoever knows a
/// whole username was given it.
pub async fn revoke(State(app): State<Arc<App>>, request: Request) -> Result<StatusCode, ApiError> {
    let embedded = app.embedded.as_ref().ok_or_else(ApiError::not_found)?;
    let (head, body) = request.into_parts();
    let username = api::username(body::read_json(&head.headers, body).await?)?;
    if embedded.store.revoke(&username) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "username-unknown",
            "no such username was issued, or it ended long ago",
        ))
    }
}

/// The switch that lets a page break things; 404 where it is off.
fn allowed(app: &App) -> Result<&Faults, ApiError> {
    app.faults.as_ref().ok_or_else(|| {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "faults-off",
            "start the server with --faults to use this",
        )
    })
}

/// `POST /api/demo/turn/restart`: the embedded TURN server loses all its allocations.
pub async fn restart(State(app): State<Arc<App>>) -> Result<StatusCode, ApiError> {
    allowed(&app)?;
    let embedded = app.embedded.as_ref().ok_or_else(ApiError::not_found)?;
    embedded.turn.restart().await;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/demo/turn/silence` `{seconds}`: the embedded TURN server takes in and sends out nothing for so long.
pub async fn silence(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    allowed(&app)?;
    let embedded = app.embedded.as_ref().ok_or_else(ApiError::not_found)?;
    let (head, body) = request.into_parts();
    let seconds = body::read_json(&head.headers, body)
        .await?
        .and_then(|body| body.get("seconds")?.as_f64())
        .filter(|seconds| (0.0..=MAX_SILENCE).contains(seconds))
        .ok_or_else(|| {
            ApiError::bad_request(
                "seconds-invalid",
                "the body must be {\"seconds\": n}, n from 0 to 60",
            )
        })?;
    embedded.turn.silence(Duration::from_secs_f64(seconds));
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/demo/faults`: how the credential endpoint misbehaves from now on.
pub async fn faults(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let faults = allowed(&app)?;
    let (head, body) = request.into_parts();
    let fault = Fault::parse(
        body::read_json(&head.headers, body)
            .await?
            .unwrap_or_default(),
    )?;
    faults.set(fault);
    Ok(StatusCode::NO_CONTENT.into_response())
}
