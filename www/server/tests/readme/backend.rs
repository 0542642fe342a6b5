use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{FromRequestParts, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

const TTL: u64 = 86_400; // seconds, at most 172800
const PATIENCE: Duration = Duration::from_secs(8); // with Cloudflare; the page waits 10 s

struct Owner {
    user: String,
    until: Instant,
}

struct TurnKey {
    http: reqwest::Client,
    credentials: String, // …/v1/turn/keys/$TURN_KEY_ID/credentials
    token: String,
    owners: Mutex<HashMap<String, Owner>>, // by TURN username; with several instances, a table they share
}

/// Your own authentication: an extractor that answers 401 without a user.
struct User(String);

async fn mint(State(key): State<Arc<TurnKey>>, User(user): User) -> Result<impl IntoResponse, StatusCode> {
    let request = key.http.post(format!("{}/generate-ice-servers", key.credentials)).bearer_auth(&key.token);
    let request = request.timeout(PATIENCE).json(&json!({ "ttl": TTL }));
    let response = request.send().await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    if !response.status().is_success() {
        return Err(StatusCode::BAD_GATEWAY);
    }
    let answer: Value = response.json().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let servers = answer["iceServers"].as_array().ok_or(StatusCode::BAD_GATEWAY)?;
    let until = Instant::now() + Duration::from_secs(TTL);
    let mut owners = key.owners.lock().unwrap();
    owners.retain(|_, owner| owner.until > Instant::now());
    for server in servers {
        if let Some(username) = server["username"].as_str() {
            owners.insert(username.to_owned(), Owner { user: user.clone(), until });
        }
    }
    let body = json!({ "iceServers": servers, "ttl": TTL });
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(body)))
}

async fn revoke(State(key): State<Arc<TurnKey>>, User(user): User, Json(body): Json<Value>) -> StatusCode {
    let username = body["username"].as_str().unwrap_or_default();
    if key.owners.lock().unwrap().get(username).is_none_or(|owner| owner.user != user) {
        return StatusCode::FORBIDDEN;
    }
    let request = key.http.post(format!("{}/{username}/revoke", key.credentials)).bearer_auth(&key.token);
    match request.timeout(PATIENCE).send().await {
        // 404: forgotten by Cloudflare, which is as good.
        Ok(response) if response.status().is_success() || response.status() == StatusCode::NOT_FOUND => StatusCode::NO_CONTENT,
        _ => StatusCode::BAD_GATEWAY,
    }
}

fn router(key: Arc<TurnKey>) -> Router {
    Router::new()
        .route("/api/turn-credentials", post(mint))
        .route("/api/turn-credentials/revoke", post(revoke))
        .with_state(key)
}
