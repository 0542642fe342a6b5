//! The endpoints of the signalling rooms. They ask for what the credential endpoints ask for: one of our own pages, in a
//! session, and not too often.
//!
//! - `POST /api/rooms/{room}/members`: 201 `{member, place}`. The first of the two members opens the room.
//! - `POST /api/rooms/{room}/members/{member}/messages` `{first, messages}`: 204. `first` is the number of the first of these
//!   messages, counted from 0 over all that this member sends.
//! - `GET /api/rooms/{room}/members/{member}/messages?from=N`: 200 `{messages, next}`, at once if the other member sent
//!   any from number N on, else as soon as it does, else an empty list after 15 seconds. N says that earlier ones arrived.
//! - `DELETE /api/rooms/{room}/members/{member}`: 204. The room has ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::time::timeout_at;
use tracing::info;

use crate::api;
use crate::api_error::ApiError;
use crate::body;
use crate::hex;
use crate::room::{Heard, RoomError};
use crate::server::App;

/// How long a request for messages waits for one. Proxies and browsers end requests that are silent for a minute or so.
const PATIENCE: Duration = Duration::from_secs(15);

type Parameters<T> = Result<Path<T>, PathRejection>;

pub async fn join(
    State(app): State<Arc<App>>,
    room: Parameters<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (head, _) = request.into_parts();
    let session = api::admit(&app, &head).await?.id;
    let Path(room) = room.map_err(|_| RoomError::Name)?;
    let member = hex::random(16).map_err(|_| ApiError::internal())?;
    let place = app
        .rooms
        .join(&room, &session, member.clone(), Instant::now())?;
    info!(target: "room", place, "joined");
    let body = json!({ "member": member, "place": place });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

pub async fn send(
    State(app): State<Arc<App>>,
    parameters: Parameters<(String, String)>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let (head, body) = request.into_parts();
    let session = api::admit(&app, &head).await?.id;
    let Path((room, member)) = parameters.map_err(|_| RoomError::Gone)?;
    let (first, messages) = numbered(body::read_json(&head.headers, body).await?)?;
    app.rooms
        .send(&room, &session, &member, first, messages, Instant::now())?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn listen(
    State(app): State<Arc<App>>,
    parameters: Parameters<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let (head, _) = request.into_parts();
    let session = api::admit(&app, &head).await?.id;
    let Path((room, member)) = parameters.map_err(|_| RoomError::Gone)?;
    let from = from(&head.uri)?;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let heard = app
            .rooms
            .listen(&room, &session, &member, from, Instant::now())?;
        match heard {
            Heard::Messages { messages, next } => return Ok(answer(&messages, next)),
            Heard::Nothing(mut changed) => {
                // What changed, the room itself tells: also a room's end, at which the sender is dropped.
                if timeout_at(deadline, changed.changed()).await.is_err() {
                    return Ok(answer(&[], from));
                }
            }
        }
    }
}

pub async fn leave(
    State(app): State<Arc<App>>,
    parameters: Parameters<(String, String)>,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let (head, _) = request.into_parts();
    let session = api::admit(&app, &head).await?.id;
    let Path((room, member)) = parameters.map_err(|_| RoomError::Gone)?;
    app.rooms.leave(&room, &session, &member, Instant::now())?;
    info!(target: "room", "left");
    Ok(StatusCode::NO_CONTENT)
}

/// The messages are JSON already.
fn answer(messages: &[String], next: u64) -> Response {
    let body = format!("{{\"messages\":[{}],\"next\":{next}}}", messages.join(","));
    let mut response = body.into_response();
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn from(uri: &Uri) -> Result<u64, ApiError> {
    let query = uri.query().unwrap_or("from=0");
    query
        .strip_prefix("from=")
        .and_then(|from| from.parse().ok())
        .ok_or_else(|| {
            ApiError::bad_request(
                "from-invalid",
                "the query must be from=N, N being what the last answer called next",
            )
        })
}

fn numbered(body: Option<Value>) -> Result<(u64, Vec<String>), ApiError> {
    let parts = body.as_ref().and_then(|body| {
        let first = body.get("first")?.as_u64()?;
        let messages = body.get("messages")?.as_array()?;
        Some((first, messages.iter().map(Value::to_string).collect()))
    });
    parts.ok_or_else(|| {
        ApiError::bad_request(
            "messages-missing",
            "the body must be {\"first\": N, \"messages\": […]}, N being the number of messages sent before",
        )
    })
}

impl From<RoomError> for ApiError {
    fn from(error: RoomError) -> Self {
        match error {
            RoomError::Name => Self::bad_request(
                "room-name-invalid",
                "a room's name is 1 to 64 letters, digits, \"-\" and \"_\"",
            ),
            RoomError::Full => Self::new(
                StatusCode::CONFLICT,
                "room-full",
                "two members are in this room already; choose another name, or wait until one has left",
            ),
            RoomError::TooMany => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too-many-rooms",
                "there are too many rooms; try again when others have ended",
            )
            .retry_after(10),
            RoomError::Gone => Self::new(
                StatusCode::NOT_FOUND,
                "room-ended",
                "there is no such room with this member in it: one of the two has left, or was not heard of for 40 seconds; join again",
            ),
            RoomError::Crowded => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "room-crowded",
                "the other member has not fetched its messages; wait as long as Retry-After says",
            )
            .retry_after(1),
            RoomError::Number { expected } => Self::new(
                StatusCode::CONFLICT,
                "number-unexpected",
                format!("messages would be left out; the next number here is {expected}"),
            ),
        }
    }
}
