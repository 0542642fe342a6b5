//! Rows of plain values, as JSON: how commands, servers and the state reach JavaScript, which names their columns.

use crate::core::connection::{Act, Cause, Initiator};
use crate::core::decimal::decimal;
use crate::core::failure::Failure;
use crate::core::ice_server::{IceServer, Secret, Username};
use crate::core::session::{Command, ConnectionId, Event, State};
use crate::core::text::part;
use alloc::string::String;

/// JSON arrays being written.
pub struct Rows(String);

impl Rows {
    /// The outermost row is begun.
    pub fn new() -> Self {
        Self("[".into())
    }

    /// What was written, with the outermost row ended.
    pub fn finish(mut self) -> String {
        self.end();
        self.0
    }

    fn begin(&mut self) {
        self.raw("[");
    }

    fn end(&mut self) {
        self.0 += "]";
    }

    #[inline(never)]
    fn raw(&mut self, json: &str) {
        if !self.0.ends_with('[') {
            self.0 += ",";
        }
        self.0.push_str(json);
    }

    #[inline(never)]
    fn text(&mut self, text: &str) {
        self.raw("\"");
        let mut start = 0;
        for (place, byte) in text.bytes().enumerate() {
            if byte < b' ' || byte == b'"' || byte == b'\\' {
                self.0.push_str(part(text, start, place));
                self.0.push_str("\\u00");
                for shift in [4, 0] {
                    let digit = usize::from(byte >> shift & 15);
                    self.0.push_str(part("0123456789abcdef", digit, digit + 1));
                }
                start = place + 1;
            }
        }
        self.0.push_str(part(text, start, text.len()));
        self.0 += "\"";
    }

    fn number(&mut self, number: u64) {
        self.raw(&decimal(number));
    }

    fn truth(&mut self, truth: bool) {
        self.raw(if truth { "true" } else { "false" });
    }

    fn text_or_null(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.raw("null"),
        }
    }

    fn number_or_null(&mut self, number: Option<f64>) {
        match number {
            Some(number) => self.number((number + 0.5) as u64),
            None => self.raw("null"),
        }
    }

    /// `[code, message, status, retryable]`.
    pub fn failure(&mut self, failure: Option<&Failure>) {
        let Some(failure) = failure else {
            return self.raw("null");
        };
        self.begin();
        self.text(failure.code.as_str());
        self.text(&failure.message);
        self.number(failure.status.into());
        self.truth(failure.retryable);
        self.end();
    }

    /// `[urls, username, credential]` each.
    pub fn servers<'a>(&mut self, servers: impl Iterator<Item = &'a IceServer>) {
        for server in servers {
            self.begin();
            self.begin();
            for url in &server.urls {
                self.text(url.as_str());
            }
            self.end();
            self.text_or_null(server.username.as_ref().map(Username::expose));
            self.text_or_null(server.credential.as_ref().map(Secret::expose));
            self.end();
        }
    }

    /// The members of `TurnSessionState`, in the order of index.d.ts; the ttl in milliseconds.
    pub fn state(&mut self, state: &State<'_>) {
        self.text(state.status.as_str());
        self.number_or_null(state.expires_at);
        self.number_or_null(state.refresh_at);
        self.number((state.ttl_s * 1000.0 + 0.5) as u64);
        self.text(state.ttl_source.as_str());
        self.text_or_null(state.username.as_deref());
        self.number(state.attempts.into());
        self.number(state.connections as u64);
        self.failure(state.last_error);
        self.begin();
        for url in state.servers().iter().flat_map(|server| &server.urls) {
            self.text(url.as_str());
        }
        self.end();
        self.begin();
        for (url, why) in state.dropped() {
            self.begin();
            self.text(url);
            self.text(why.as_str());
            self.end();
        }
        self.end();
    }

    /// A command's name, which is that of the method that carries it out, and its arguments.
    pub fn command(&mut self, command: &Command) {
        self.begin();
        match command {
            Command::Fetch { fetch, reason } => {
                self.text("fetch");
                self.number(*fetch);
                self.text(reason.as_str());
            }
            Command::CancelFetch => self.text("cancel"),
            Command::WakeIn(ms) => {
                self.text("wakeIn");
                self.number(*ms);
            }
            Command::Apply { connection, .. } => self.named("apply", *connection),
            Command::Prove { version } => {
                self.text("prove");
                self.number(*version);
            }
            Command::Act(id, act) => self.act(*id, act),
            Command::Revoke(usernames) => {
                self.text("revoke");
                self.begin();
                for name in usernames {
                    self.begin();
                    self.text(name.expose());
                    self.text(&name.redacted());
                    self.end();
                }
                self.end();
            }
            Command::Opened => self.text("opened"),
            Command::OpenFailed(reason) => {
                self.text("openFailed");
                self.failure(Some(reason));
            }
            Command::RefreshDone(reason) => {
                self.text("refreshDone");
                self.failure(reason.as_ref());
            }
            Command::Emit(event) => {
                self.text("emit");
                self.event(event);
            }
        }
        self.end();
    }

    fn named(&mut self, name: &str, id: ConnectionId) {
        self.text(name);
        self.number(id.into());
    }

    fn act(&mut self, id: ConnectionId, act: &Act) {
        let name = match act {
            Act::Inspect => return self.named("inspect", id),
            Act::Restart => return self.named("restart", id),
            Act::Raise => return self.named("raise", id),
            Act::Restarting { .. } => "restarting",
            Act::Restarted { .. } => "restarted",
            Act::Stalled => "restartstalled",
            Act::Lost => "connectionlost",
        };
        self.text("emit");
        self.named(name, id);
        if let Act::Restarting { initiator, .. } | Act::Restarted { initiator, .. } = act {
            self.text(match initiator {
                Initiator::Local => "local",
                Initiator::Remote => "remote",
            });
        }
        match act {
            Act::Restarting { cause, .. } => self.text(match cause {
                Cause::Refresh => "refresh",
                Cause::Repair => "repair",
                Cause::Other => "other",
            }),
            Act::Restarted { duration, .. } => self.number(*duration),
            _ => {}
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Refreshed { reason, changed } => {
                self.text("refreshed");
                self.text(reason.as_str());
                self.truth(*changed);
            }
            Event::RefreshError { reason, failure } => {
                self.text("refresherror");
                self.text(reason.as_str());
                self.failure(Some(failure));
            }
            Event::Expired(failure) => {
                self.text("expired");
                self.failure(Some(failure));
            }
            Event::Applied(id) => self.named("applied", *id),
            Event::ApplyError(id, failure) => {
                self.named("applyerror", *id);
                self.failure(Some(failure));
            }
            Event::TtlAssumed => self.text("ttlassumed"),
            Event::LeftOut(fault) => {
                self.text("warning");
                self.text(&fault.message);
            }
            Event::StatusChanged { status, previous } => {
                self.text("statechange");
                self.text(status.as_str());
                self.text(previous.as_str());
            }
            Event::Closed => self.text("closed"),
        }
    }
}
