//! Rows of plain values: how commands, servers and the state reach JavaScript, which names their columns.

use crate::core::connection::{Cause, Initiator};
use crate::core::failure::Failure;
use crate::core::ice_server::{IceServer, Secret, Username};
use crate::core::session::{Command, Event, State};
use crate::core::uri::IceUri;

use super::js::Array;
use wasm_bindgen::prelude::*;

/// A row being filled.
pub struct Row(Array);

impl Row {
    pub fn new(kind: &str) -> Self {
        Self(Array::new()).and(kind)
    }

    pub fn empty() -> Self {
        Self(Array::new())
    }

    pub fn and(self, value: impl Into<JsValue>) -> Self {
        self.0.push(&value.into());
        self
    }

    pub fn done(self) -> JsValue {
        self.0.into()
    }
}

/// Rows as an array.
fn list(rows: impl Iterator<Item = JsValue>) -> JsValue {
    rows.fold(Row::empty(), Row::and).done()
}

fn text(value: Option<&str>) -> JsValue {
    value.map_or(JsValue::NULL, JsValue::from_str)
}

fn number(value: Option<f64>) -> JsValue {
    value.map_or(JsValue::NULL, JsValue::from_f64)
}

fn url(url: &IceUri) -> JsValue {
    JsValue::from_str(&url.to_text())
}

/// `[code, message, status, retryable]`.
pub fn failure(failure: Option<&Failure>) -> JsValue {
    let Some(failure) = failure else {
        return JsValue::NULL;
    };
    Row::new(failure.code.as_str())
        .and(failure.message.as_str())
        .and(f64::from(failure.status.unwrap_or(0)))
        .and(failure.retryable)
        .done()
}

/// `[urls, username, credential]` each.
pub fn servers(servers: &[IceServer]) -> JsValue {
    list(servers.iter().map(|server| {
        Row::empty()
            .and(list(server.urls.iter().map(url)))
            .and(text(server.username.as_ref().map(Username::expose)))
            .and(text(server.credential.as_ref().map(Secret::expose)))
            .done()
    }))
}

/// The members of `TurnSessionState`, in the order of index.d.ts.
pub fn state(state: &State) -> JsValue {
    let dropped = state
        .dropped
        .iter()
        .map(|(dropped, why)| Row::empty().and(url(dropped)).and(why.as_str()).done());
    Row::new(state.status.as_str())
        .and(number(state.expires_at))
        .and(number(state.refresh_at))
        .and(state.ttl_s)
        .and(state.ttl_source.as_str())
        .and(text(state.username.as_deref()))
        .and(state.attempts)
        .and(state.connections as f64)
        .and(failure(state.last_error.as_ref()))
        .and(list(state.urls.iter().map(url)))
        .and(list(dropped))
        .done()
}

/// A command's name, which is that of the method that carries it out, and its arguments.
pub fn command(command: Command) -> JsValue {
    match command {
        Command::Fetch { fetch, reason } => {
            Row::new("fetch").and(fetch as f64).and(reason.as_str())
        }
        Command::CancelFetch => Row::new("cancel"),
        Command::WakeIn(ms) => Row::new("wakeIn").and(ms as f64),
        Command::Apply {
            connection,
            version,
        } => Row::new("apply").and(connection).and(version as f64),
        Command::Inspect(connection) => Row::new("inspect").and(connection),
        Command::Restart(connection) => Row::new("restart").and(connection),
        Command::Revoke(usernames) => Row::new("revoke").and(list(
            usernames
                .iter()
                .map(|name| Row::empty().and(name.expose()).and(name.redacted()).done()),
        )),
        Command::Opened => Row::new("opened"),
        Command::OpenFailed(reason) => Row::new("openFailed").and(failure(Some(&reason))),
        Command::RefreshDone(reason) => Row::new("refreshDone").and(failure(reason.as_ref())),
        Command::Emit(event) => emit(event),
    }
    .done()
}

fn emit(event: Event) -> Row {
    let row = Row::new("emit");
    match event {
        Event::Refreshed { reason, changed } => {
            row.and("refreshed").and(reason.as_str()).and(changed)
        }
        Event::RefreshError {
            reason,
            failure: error,
        } => row
            .and("refresherror")
            .and(reason.as_str())
            .and(failure(Some(&error))),
        Event::Expired(error) => row.and("expired").and(failure(Some(&error))),
        Event::Applied(id) => row.and("applied").and(id),
        Event::ApplyError(id, error) => row.and("applyerror").and(id).and(failure(Some(&error))),
        Event::Restarting(id, initiator, cause) => row
            .and("restarting")
            .and(id)
            .and(name(initiator))
            .and(match cause {
                Cause::Refresh => "refresh",
                Cause::Repair => "repair",
                Cause::Other => "other",
            }),
        Event::Restarted(id, initiator, duration) => row
            .and("restarted")
            .and(id)
            .and(name(initiator))
            .and(duration as f64),
        Event::RestartStalled(id) => row.and("restartstalled").and(id),
        Event::ConnectionLost(id) => row.and("connectionlost").and(id),
        Event::TtlAssumed => row.and("ttlassumed"),
        Event::StatusChanged { status, previous } => row
            .and("statechange")
            .and(status.as_str())
            .and(previous.as_str()),
        Event::Closed => row.and("closed"),
    }
}

fn name(initiator: Initiator) -> &'static str {
    match initiator {
        Initiator::Local => "local",
        Initiator::Remote => "remote",
    }
}
