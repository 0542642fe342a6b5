//! Emulator of Cloudflare's TURN API: the same paths, bearer token, statuses and shapes, issuing credentials that the
//! embedded TURN server honours. It listens on a loopback port of its own, so that the client talks to it as it would to
//! Cloudflare. The texts of its errors are its own; Cloudflare documents only the statuses.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::extract::{Path, Request, State};
use axum::http::header::{AUTHORIZATION, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::api_error::ApiError;
use crate::body;
use crate::connection;
use crate::credential::{Credential, CredentialStore};
use crate::hex;
use crate::limit::{Buckets, Limit};
use crate::options::MAX_TTL;
use crate::secret::Secret;
use crate::turn::ServerUrls;

/// What Cloudflare issues to begin with.
pub const ISSUANCE: Limit = Limit {
    burst: 500.0,
    per_second: 500.0,
};

pub struct Emulator {
    store: Arc<CredentialStore>,
    urls: ServerUrls,
    /// Credentials that may be issued, whatever the key.
    issuance: Buckets<()>,
    /// API token by key id.
    keys: Mutex<HashMap<String, Secret>>,
    /// What may create keys; `None` if nobody may.
    account_token: Option<Secret>,
}

/// An emulator that is being served, and a key to use it with.
pub struct Running {
    pub base: String,
    pub key_id: String,
    pub token: Secret,
    /// Done when the last request is answered.
    pub served: JoinHandle<()>,
}

#[derive(Debug, thiserror::Error)]
pub enum EmulatorError {
    #[error("the emulator of the TURN API found no free port on loopback: {0}")]
    Bind(#[from] std::io::Error),
    #[error("the system gave no random numbers")]
    Random,
}

impl From<ring::error::Unspecified> for EmulatorError {
    fn from(_: ring::error::Unspecified) -> Self {
        Self::Random
    }
}

impl Emulator {
    pub fn new(
        store: Arc<CredentialStore>,
        urls: ServerUrls,
        account_token: Option<Secret>,
        limit: Limit,
    ) -> Self {
        Self {
            store,
            urls,
            issuance: Buckets::new(limit, Instant::now()),
            keys: Mutex::default(),
            account_token,
        }
    }

    /// A new key: its id and its API token.
    pub fn create_key(&self) -> Result<(String, Secret), EmulatorError> {
        let (id, token) = (hex::random(16)?, Secret::new(hex::random(32)?));
        self.keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.clone(), token.clone());
        Ok((id, token))
    }

    /// Serves on any loopback port until the process ends.
    pub async fn start(self) -> Result<Running, EmulatorError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (end, ending) = watch::channel(false);
        let mut running = self.start_on(listener, ending)?;
        let served = running.served;
        running.served = tokio::spawn(async move {
            let _ = served.await;
            drop(end);
        });
        Ok(running)
    }

    /// Serves on this listener until `ending` turns true.
    pub fn start_on(
        self,
        listener: TcpListener,
        ending: watch::Receiver<bool>,
    ) -> Result<Running, EmulatorError> {
        let (key_id, token) = self.create_key()?;
        let base = format!("http://{}", listener.local_addr()?);
        let served = tokio::spawn(connection::serve(
            listener,
            self.router(),
            connection::capacity(),
            Arc::default(),
            ending,
        ));
        Ok(Running {
            base,
            key_id,
            token,
            served,
        })
    }

    pub fn router(self) -> Router {
        Router::new()
            .route(
                "/v1/turn/keys/{id}/credentials/generate-ice-servers",
                post(generate_ice_servers),
            )
            .route("/v1/turn/keys/{id}/credentials/generate", post(generate))
            .route(
                "/v1/turn/keys/{id}/credentials/{username}/revoke",
                post(revoke),
            )
            .route(
                "/client/v4/accounts/{account}/calls/turn_keys",
                post(create_key),
            )
            .fallback(async || problem(StatusCode::NOT_FOUND, "no such route"))
            .method_not_allowed_fallback(async || {
                problem(StatusCode::METHOD_NOT_ALLOWED, "use POST")
            })
            .with_state(Arc::new(self))
    }

    fn authorize(&self, key_id: &str, headers: &HeaderMap) -> Result<(), Problem> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let token = keys
            .get(key_id)
            .ok_or_else(|| problem(StatusCode::NOT_FOUND, "no such TURN key"))?;
        if bearer(headers).is_some_and(|sent| same(sent, token)) {
            Ok(())
        } else {
            Err(problem(
                StatusCode::UNAUTHORIZED,
                "the bearer token does not belong to this TURN key",
            ))
        }
    }

    async fn mint(&self, key_id: &str, request: Request) -> Result<Credential, Problem> {
        self.authorize(key_id, request.headers())?;
        self.issuance
            .admit((), Instant::now())
            .map_err(|seconds| Problem {
                retry_after: Some(seconds),
                ..problem(
                    StatusCode::TOO_MANY_REQUESTS,
                    "credentials are issued at 500 a second at most",
                )
            })?;
        let (head, body) = request.into_parts();
        let bytes = body::read(&head.headers, body)
            .await
            .map_err(Problem::from)?;
        let order: Value = serde_json::from_slice(&bytes)
            .map_err(|_| problem(StatusCode::BAD_REQUEST, "the body is not JSON"))?;
        let ttl = order
            .get("ttl")
            .and_then(Value::as_u64)
            .filter(|ttl| (1..=MAX_TTL).contains(ttl))
            .ok_or_else(|| {
                problem(
                    StatusCode::BAD_REQUEST,
                    "ttl must be a whole number of seconds from 1 to 172800",
                )
            })?;
        if order
            .get("customIdentifier")
            .is_some_and(|identifier| !identifier.is_string())
        {
            return Err(problem(
                StatusCode::BAD_REQUEST,
                "customIdentifier must be a string",
            ));
        }
        self.store
            .mint(Duration::from_secs(ttl), SystemTime::now())
            .map_err(|_| problem(StatusCode::INTERNAL_SERVER_ERROR, "no random numbers"))
    }
}

async fn generate_ice_servers(
    State(emulator): State<Arc<Emulator>>,
    Path(key_id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let credential = emulator.mint(&key_id, request).await?;
    let body = json!({ "iceServers": [
        { "urls": [emulator.urls.stun] },
        { "urls": emulator.urls.turn, "username": credential.username, "credential": credential.credential },
    ] });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// The older path: one object where the newer one has a list.
async fn generate(
    State(emulator): State<Arc<Emulator>>,
    Path(key_id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let credential = emulator.mint(&key_id, request).await?;
    let ServerUrls { stun, turn } = &emulator.urls;
    let urls: Vec<&String> = std::iter::once(stun).chain(turn).collect();
    let body = json!({ "iceServers": {
        "urls": urls,
        "username": credential.username,
        "credential": credential.credential,
    } });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

async fn revoke(
    State(emulator): State<Arc<Emulator>>,
    Path((key_id, username)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    emulator.authorize(&key_id, &headers)?;
    if emulator.store.revoke(&username) {
        Ok(StatusCode::NO_CONTENT.into_response())
    } else {
        Err(problem(StatusCode::NOT_FOUND, "no such username"))
    }
}

async fn create_key(
    State(emulator): State<Arc<Emulator>>,
    Path(_account): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let allowed = match (&emulator.account_token, bearer(request.headers())) {
        (Some(token), Some(sent)) => same(sent, token),
        _ => false,
    };
    if !allowed {
        return Err(problem(
            StatusCode::FORBIDDEN,
            "the bearer token may not create TURN keys",
        ));
    }
    let (head, body) = request.into_parts();
    let bytes = body::read(&head.headers, body)
        .await
        .map_err(Problem::from)?;
    let order: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let Some(name) = order.get("name").and_then(Value::as_str) else {
        return Err(problem(StatusCode::BAD_REQUEST, "name must be a string"));
    };
    let (uid, key) = emulator
        .create_key()
        .map_err(|_| problem(StatusCode::INTERNAL_SERVER_ERROR, "no random numbers"))?;
    let now = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let body = json!({
        "success": true, "errors": [], "messages": [],
        "result": { "uid": uid, "key": key, "name": name, "created": now, "modified": now },
    });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(AUTHORIZATION)?
        .to_str()
        .ok()?
        .strip_prefix("Bearer ")
}

/// Compares through a keyed hash, so that the time taken tells nothing about where two texts differ.
fn same(sent: &str, token: &Secret) -> bool {
    use ring::hmac;
    let key = hmac::Key::new(hmac::HMAC_SHA256, token.reveal().as_bytes());
    let tag = hmac::sign(&key, token.reveal().as_bytes());
    hmac::verify(&key, sent.as_bytes(), tag.as_ref()).is_ok()
}

/// An error in the envelope of Cloudflare's other APIs.
struct Problem {
    status: StatusCode,
    message: Cow<'static, str>,
    /// Seconds.
    retry_after: Option<u64>,
}

fn problem(status: StatusCode, message: &'static str) -> Problem {
    Problem {
        status,
        message: message.into(),
        retry_after: None,
    }
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        Self {
            status: error.status,
            message: error.message,
            retry_after: error.retry_after,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let error = json!({ "code": self.status.as_u16(), "message": self.message });
        let body = Json(json!({ "success": false, "errors": [error] }));
        let mut response = (self.status, body).into_response();
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
