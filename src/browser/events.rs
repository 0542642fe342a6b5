//! The core's events, errors and state as the plain objects that the app sees.

use super::hooks::Hooks;
use super::object::Members;
use crate::core::connection::{Cause, Initiator};
use crate::core::failure::Failure;
use crate::core::session::{ConnectionId, Event, State, Status};
use js_sys::Array;
use wasm_bindgen::prelude::*;

const STALLED: &str = "no offer followed restartIce(): let the connection's negotiationneeded handler create an offer, \
     set it as local description and send it to the other end";

/// An event that waits to be dispatched.
pub struct Pending {
    pub kind: &'static str,
    pub detail: JsValue,
}

/// What an event's details are made from.
pub struct View<'a> {
    pub hooks: &'a Hooks,
    pub state: State,
    /// What JavaScript threw during the last fetch.
    pub cause: JsValue,
    pub connection: &'a dyn Fn(ConnectionId) -> JsValue,
}

impl View<'_> {
    fn error(&self, failure: &Failure) -> JsValue {
        self.hooks.turn_error(failure, &JsValue::UNDEFINED)
    }

    pub fn pending(&self, event: &Event) -> Pending {
        let of = |id: &ConnectionId| Members::new().with("connection", (self.connection)(*id));
        let state = &self.state;
        let (kind, detail) = match event {
            Event::Refreshed { reason, changed } => (
                "refreshed",
                Members::new()
                    .with("reason", reason.as_str())
                    .with("expiresAt", or_null(state.expires_at))
                    .with("refreshAt", or_null(state.refresh_at))
                    .with("username", or_null(state.username.as_deref()))
                    .with("changed", *changed),
            ),
            Event::RefreshError { reason, failure } => (
                "refresherror",
                Members::new()
                    .with("reason", reason.as_str())
                    .with("error", self.hooks.turn_error(failure, &self.cause))
                    .with("attempts", state.attempts)
                    .with("retryAt", or_null(state.refresh_at)),
            ),
            Event::Expired(failure) => {
                ("expired", Members::new().with("error", self.error(failure)))
            }
            Event::Applied(id) => ("applied", of(id)),
            Event::ApplyError(id, failure) => {
                ("applyerror", of(id).with("error", self.error(failure)))
            }
            Event::Restarting(id, initiator, cause) => (
                "restarting",
                of(id)
                    .with("initiator", name(*initiator))
                    .with("reason", reason(*cause)),
            ),
            Event::Restarted(id, initiator, duration) => (
                "restarted",
                of(id)
                    .with("initiator", name(*initiator))
                    .with("duration", *duration as f64),
            ),
            Event::RestartStalled(id) => ("restartstalled", of(id).with("message", STALLED)),
            Event::ConnectionLost(id) => ("connectionlost", of(id)),
            Event::TtlAssumed => ("ttlassumed", Members::new().with("ttl", state.ttl_s)),
            Event::StatusChanged { status, previous } => (
                "statechange",
                Members::new()
                    .with("status", status.as_str())
                    .with("previous", previous.as_str()),
            ),
            Event::Closed => {
                return Pending {
                    kind: "closed",
                    detail: JsValue::NULL,
                };
            }
        };
        Pending {
            kind,
            detail: detail.done(),
        }
    }

    /// `TurnSession.state`.
    pub fn state(&self) -> JsValue {
        let state = &self.state;
        let urls: Array = state
            .urls
            .iter()
            .map(|url| JsValue::from(url.to_string()))
            .collect();
        let dropped: Array = state
            .dropped
            .iter()
            .map(|(url, reason)| {
                Members::new()
                    .with("url", url.to_string())
                    .with("reason", reason.as_str())
                    .done()
            })
            .collect();
        let error = state
            .last_error
            .as_ref()
            .map(|failure| self.hooks.turn_error(failure, &self.cause));
        let status = if state.status == Status::Opening {
            Status::Refreshing
        } else {
            state.status
        };
        Members::new()
            .with("status", status.as_str())
            .with("expiresAt", or_null(state.expires_at))
            .with("refreshAt", or_null(state.refresh_at))
            .with("ttl", state.ttl_s)
            .with("ttlSource", state.ttl_source.as_str())
            .with("username", or_null(state.username.as_deref()))
            .with("attempts", state.attempts)
            .with("connections", state.connections as f64)
            .with("lastError", or_null(error))
            .with("urls", urls)
            .with("dropped", dropped)
            .done()
    }
}

fn or_null(value: Option<impl Into<JsValue>>) -> JsValue {
    value.map_or(JsValue::NULL, Into::into)
}

fn name(initiator: Initiator) -> &'static str {
    match initiator {
        Initiator::Local => "local",
        Initiator::Remote => "remote",
    }
}

fn reason(cause: Cause) -> &'static str {
    match cause {
        Cause::Refresh => "refresh",
        Cause::Repair => "repair",
        Cause::Other => "other",
    }
}
