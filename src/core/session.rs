//! A session: one credential, and all connections that use it.
//!
//! [`Session::handle`] takes an input and the time, and appends commands that the caller carries out in their order.
//! After every input the whole session is looked at anew, so that a late timer, a wake-up or any event does what the
//! clock asks for. There is no async, no callback and no clock in here.
//!
//! With a lifetime L and a margin m = min(L / 4, 1 h) the refresh starts at a random moment in
//! [expiry − 2m, expiry − m]: clients that opened together drift apart, and all of m is left for retries and for the
//! ICE restart. The old credential serves until its true expiry, whatever fails.

use super::clock::{Clock, Instant, Now};
use super::connection::{Act, Cause, Connection, Facts, Initiator, Pair, Policy, Stamp};
use super::decimal::decimal;
use super::failure::{Code, Failure};
use super::ice_server::{IceServer, Username};
use super::random::Random;
use super::response::{self, Lifetime};
use super::retry;
use super::selection::{Drop, Selection};
use super::uri::IceUri;
use super::value::Value;
use alloc::string::String;
use alloc::vec::Vec;

/// The largest margin before expiry, in milliseconds.
const MARGIN_MOST_MS: u64 = 3_600_000;
/// What is assumed when nothing tells the lifetime, in seconds.
const TTL_ASSUMED_S: f64 = 3_600.0;
/// An absolute expiry is believed up to this far ahead, in milliseconds (Cloudflare's largest ttl).
const EXPIRES_AT_MOST_MS: f64 = 172_800_000.0;
/// Opening gives up this many milliseconds after it began, or after the third failure.
const OPENING_MS: u64 = 5_000;
const OPENING_TRIES: u32 = 3;
/// A due refresh after a wake-up is spread over this many milliseconds.
const WAKE_JITTER_MS: u64 = 999;
/// The longest single timer, in milliseconds. Timers pause in a system sleep on some platforms, and no event need tell
/// of the wake-up: an overdue deadline is noticed this late at the most. It is also far below 2^31.
const TIMER_MOST_MS: u64 = 30_000;

/// Names a connection within its session.
pub type ConnectionId = u32;

/// What a session is opened with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Seconds, for responses that do not tell. Checked by [`response::is_ttl`].
    pub ttl: Option<f64>,
    pub selection: Selection,
    pub policy: Policy,
    /// Any number that differs between clients.
    pub seed: u64,
}

/// Why a credential is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Initial,
    Scheduled,
    Manual,
    Rejected,
    Wake,
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Scheduled => "scheduled",
            Self::Manual => "manual",
            Self::Rejected => "rejected",
            Self::Wake => "wake",
        }
    }
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Opening,
    Active,
    Refreshing,
    Retrying,
    Refused,
    Expired,
    Closed,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Active => "active",
            Self::Refreshing => "refreshing",
            Self::Retrying => "retrying",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Closed => "closed",
        }
    }
}

/// What the lifetime was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TtlSource {
    Response,
    Username,
    Option,
    Assumed,
}

impl TtlSource {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::Username => "username",
            Self::Option => "option",
            Self::Assumed => "assumed",
        }
    }
}

/// What happened outside.
#[derive(Clone)]
pub enum Input {
    /// The first input.
    Open,
    /// A response arrived and was parsed as JSON.
    Fetched {
        fetch: u64,
        body: Value,
    },
    FetchFailed {
        fetch: u64,
        failure: Failure,
    },
    /// The timer of [`Command::WakeIn`] fired.
    Timer,
    /// The page became visible, was shown again from the back/forward cache, or was resumed.
    Woke,
    Online,
    Offline,
    /// The app asks for a fresh credential; answered by [`Command::RefreshDone`].
    Refresh,
    /// A connection was made with the servers in force.
    Created {
        connection: ConnectionId,
        policy: Option<Policy>,
    },
    /// A connection made elsewhere, with the usernames in its present configuration.
    Attached {
        connection: ConnectionId,
        policy: Option<Policy>,
        facts: Facts,
        usernames: Vec<String>,
    },
    /// The connection was detached, closed or collected.
    Detached {
        connection: ConnectionId,
    },
    Applied {
        connection: ConnectionId,
        version: u64,
    },
    ApplyFailed {
        connection: ConnectionId,
        version: u64,
        message: String,
    },
    Observed {
        connection: ConnectionId,
        facts: Facts,
    },
    Inspected {
        connection: ConnectionId,
        pairs: Vec<Pair>,
    },
    /// An `icecandidateerror` event.
    CandidateError {
        connection: ConnectionId,
        url: String,
        code: u16,
    },
    /// The app's `AbortSignal`.
    Abort,
    Close {
        revoke: bool,
    },
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    Fetch {
        fetch: u64,
        reason: Reason,
    },
    CancelFetch,
    /// Send [`Input::Timer`] after this many milliseconds; replaces the timer before.
    WakeIn(u64),
    /// Apply the servers in force, and answer with [`Input::Applied`] or [`Input::ApplyFailed`].
    Apply {
        connection: ConnectionId,
        version: u64,
    },
    Inspect(ConnectionId),
    Restart(ConnectionId),
    Revoke(Vec<Username>),
    Opened,
    OpenFailed(Failure),
    RefreshDone(Option<Failure>),
    Emit(Event),
}

/// What the app is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Refreshed { reason: Reason, changed: bool },
    RefreshError { reason: Reason, failure: Failure },
    Expired(Failure),
    Applied(ConnectionId),
    ApplyError(ConnectionId, Failure),
    Restarting(ConnectionId, Initiator, Cause),
    Restarted(ConnectionId, Initiator, u64),
    RestartStalled(ConnectionId),
    ConnectionLost(ConnectionId),
    TtlAssumed,
    StatusChanged { status: Status, previous: Status },
    Closed,
}

/// The credential in force.
#[derive(Clone, Debug)]
struct Held {
    servers: Vec<IceServer>,
    dropped: Vec<(IceUri, Drop)>,
    expires: Instant,
    ttl_s: f64,
    ttl_source: TtlSource,
    /// When it arrived.
    since: Instant,
}

impl Held {
    fn username(&self) -> Option<&Username> {
        self.usernames().next()
    }

    fn usernames(&self) -> impl Iterator<Item = &Username> {
        self.servers
            .iter()
            .filter_map(|server| server.username.as_ref())
    }
}

#[derive(Clone, Copy, Debug)]
struct Fetch {
    id: u64,
    reason: Reason,
    sent: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    at: Instant,
    reason: Reason,
}

/// A session's state as the app may see it: no secrets. Moments in milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub status: Status,
    pub expires_at: Option<f64>,
    pub refresh_at: Option<f64>,
    pub ttl_s: f64,
    pub ttl_source: TtlSource,
    pub username: Option<String>,
    pub attempts: u32,
    pub connections: usize,
    pub last_error: Option<Failure>,
    pub urls: Vec<IceUri>,
    pub dropped: Vec<(IceUri, Drop)>,
}

/// The state machine.
#[derive(Debug)]
pub struct Session {
    options: Options,
    clock: Clock,
    random: Random,
    opening: Option<Instant>,
    closed: bool,
    status: Status,
    held: Option<Held>,
    /// Counts the different lists of servers; 0 before the first.
    version: u64,
    fetch: Option<Fetch>,
    fetches: u64,
    plan: Option<Plan>,
    last_sent: Option<Instant>,
    attempts: u32,
    last_error: Option<Failure>,
    refused: bool,
    online: bool,
    /// Somebody waits for [`Command::RefreshDone`].
    awaited: bool,
    told_expired: bool,
    told_assumed: bool,
    rejections: u32,
    /// The next refresh for a rejected credential comes no sooner.
    reject_from: Instant,
    connections: Vec<(ConnectionId, Connection)>,
    /// Earlier usernames, with the ends of their lives.
    superseded: Vec<(Username, Instant)>,
    timer: Option<Instant>,
}

impl Session {
    /// A session that waits for [`Input::Open`].
    pub fn new(options: Options, now: Now) -> Self {
        Self {
            random: Random::new(options.seed),
            options,
            clock: Clock::new(now),
            opening: None,
            closed: false,
            status: Status::Opening,
            held: None,
            version: 0,
            fetch: None,
            fetches: 0,
            plan: None,
            last_sent: None,
            attempts: 0,
            last_error: None,
            refused: false,
            online: true,
            awaited: false,
            told_expired: false,
            told_assumed: false,
            rejections: 0,
            reject_from: 0,
            connections: Vec::new(),
            superseded: Vec::new(),
            timer: None,
        }
    }

    /// Takes in what happened, and appends what is to be done, in this order.
    pub fn handle(&mut self, input: Input, now: Now, commands: &mut Vec<Command>) {
        let now = self.clock.advance(now);
        if self.closed {
            if matches!(input, Input::Refresh) {
                commands.push(Command::RefreshDone(Some(closed())));
            }
            return;
        }
        match input {
            Input::Open => {
                self.opening = Some(now);
                self.plan = Some(Plan {
                    at: now,
                    reason: Reason::Initial,
                });
            }
            Input::Fetched { fetch, body } => self.fetched(fetch, &body, now, commands),
            Input::FetchFailed { fetch, failure } => {
                if let Some(fetch) = self.fetch.take_if(|f| f.id == fetch) {
                    self.failed(fetch, failure, now, commands);
                }
            }
            Input::Timer => self.timer = None,
            Input::Woke => self.woke(false, now),
            Input::Online => {
                self.online = true;
                self.woke(true, now);
            }
            Input::Offline => self.online = false,
            Input::Refresh => {
                self.awaited = true;
                if self.fetch.is_none() {
                    self.send(Reason::Manual, now, commands);
                }
            }
            Input::Created { connection, policy } => {
                let servers = if self.is_expired(now) {
                    Stamp {
                        version: 0,
                        expires: now,
                    }
                } else {
                    self.stamp(now)
                };
                let policy = policy.unwrap_or(self.options.policy);
                self.connections
                    .push((connection, Connection::new(policy, servers)));
            }
            Input::Attached {
                connection,
                policy,
                facts,
                usernames,
            } => {
                self.attach(connection, policy, facts, &usernames, now, commands);
            }
            Input::Detached { connection } => self.connections.retain(|(id, _)| *id != connection),
            Input::Applied {
                connection,
                version,
            } => {
                if version == self.version {
                    let servers = self.stamp(now);
                    if let Some(found) = self.connection(connection) {
                        found.applied(servers, now);
                        commands.push(Command::Emit(Event::Applied(connection)));
                    }
                }
            }
            Input::ApplyFailed {
                connection,
                message,
                ..
            } => {
                if self.connection(connection).is_some() {
                    let failure = Failure::fatal(
                        Code::ApplyFailed,
                        ["setConfiguration refused the new servers, the old ones stay in force: ", &message].concat(),
                    );
                    commands.push(Command::Emit(Event::ApplyError(connection, failure)));
                }
            }
            Input::Observed { connection, facts } => {
                self.with_connection(connection, commands, |found, acts| {
                    found.observe(facts, now, acts)
                });
            }
            Input::Inspected { connection, pairs } => {
                self.with_connection(connection, commands, |found, acts| {
                    found.inspected(pairs, now, acts)
                });
            }
            Input::CandidateError {
                connection,
                url,
                code,
            } => self.candidate_error(connection, &url, code, now),
            Input::Abort => {
                if self.held.is_none() {
                    let failure = Failure::fatal(
                        Code::Aborted,
                        "the signal option was aborted before the session was open",
                    );
                    self.open_failed(failure, commands);
                } else {
                    self.close(false, now, commands);
                }
            }
            Input::Close { revoke } => self.close(revoke, now, commands),
        }
        self.settle(now, commands);
    }

    // ---- what is asked -------------------------------------------------------------------------------------------

    /// The servers to hand out: of an expired credential only those that need none.
    pub fn servers(&mut self, now: Now) -> Vec<IceServer> {
        let now = self.clock.advance(now);
        let expired = self.is_expired(now);
        let servers = self.held.iter().flat_map(|held| &held.servers);
        servers
            .filter(|server| !expired || server.credential.is_none())
            .cloned()
            .collect()
    }

    /// Whether the session is closed.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// A snapshot.
    pub fn state(&mut self, now: Now) -> State {
        let now = self.clock.advance(now);
        let held = self.held.as_ref();
        let open = held.filter(|_| !self.closed);
        State {
            // After a sleep the app may look before any timer or event told of the lapse.
            status: if self.closed {
                Status::Closed
            } else {
                self.derive_status(now)
            },
            expires_at: open.map(|held| self.clock.wall_at(held.expires)),
            refresh_at: self
                .plan
                .filter(|_| !self.closed)
                .map(|plan| self.clock.wall_at(plan.at)),
            ttl_s: held.map_or(0.0, |held| held.ttl_s),
            ttl_source: held.map_or(TtlSource::Assumed, |held| held.ttl_source),
            username: held.and_then(Held::username).map(Username::redacted),
            attempts: self.attempts,
            connections: self.connections.len(),
            last_error: self.last_error.clone(),
            urls: held
                .iter()
                .flat_map(|held| &held.servers)
                .flat_map(|server| server.urls.clone())
                .collect(),
            dropped: held.map(|held| held.dropped.clone()).unwrap_or_default(),
        }
    }

    // ---- fetching ------------------------------------------------------------------------------------------------

    fn send(&mut self, reason: Reason, now: Instant, commands: &mut Vec<Command>) {
        self.plan = None;
        self.refused = false;
        self.fetches += 1;
        self.last_sent = Some(now);
        self.fetch = Some(Fetch {
            id: self.fetches,
            reason,
            sent: now,
        });
        commands.push(Command::Fetch {
            fetch: self.fetches,
            reason,
        });
    }

    fn fetched(&mut self, id: u64, body: &Value, now: Instant, commands: &mut Vec<Command>) {
        let Some(fetch) = self.fetch.take_if(|fetch| fetch.id == id) else {
            return;
        };
        match self.read(body, fetch, now) {
            Ok(held) => self.hold(held, fetch, now, commands),
            Err(failure) => self.failed(fetch, failure, now, commands),
        }
    }

    fn read(&self, body: &Value, fetch: Fetch, now: Instant) -> Result<Held, Failure> {
        let response = response::read(body)?;
        let (servers, dropped) = self.options.selection.apply(&response.servers);
        if servers.is_empty() {
            return Err(Failure::fatal(
                Code::ResponseInvalid,
                "iceServers: no URL is left of those in the response; the options trickle and urls drop them all",
            ));
        }
        let (expires, ttl_source) = self.expiry(response.lifetime, fetch.sent, now)?;
        if expires <= now {
            return Err(Failure::retryable(
                Code::Expired,
                "the credential's life was over when it arrived: the response took longer than its ttl",
            ));
        }
        let ttl_s = expires.saturating_sub(fetch.sent) as f64 / 1000.0;
        Ok(Held {
            servers,
            dropped,
            expires,
            ttl_s,
            ttl_source,
            since: now,
        })
    }

    /// Lifetimes count from the moment the request was sent, never from a server's clock; an absolute expiry is
    /// translated by the local clock, for lack of a better one.
    fn expiry(
        &self,
        lifetime: Option<Lifetime>,
        sent: Instant,
        now: Instant,
    ) -> Result<(Instant, TtlSource), Failure> {
        let after = |seconds: f64| sent.saturating_add((seconds * 1000.0) as u64);
        let (moment, source, field) = match (lifetime, self.options.ttl) {
            (Some(Lifetime::Ttl(seconds)), _) => return Ok((after(seconds), TtlSource::Response)),
            (Some(Lifetime::ExpiresAt(moment)), _) => (moment, TtlSource::Response, "expiresAt"),
            (Some(Lifetime::Username(moment)), _) => {
                (moment, TtlSource::Username, "the username's timestamp")
            }
            (None, Some(seconds)) => return Ok((after(seconds), TtlSource::Option)),
            (None, None) => return Ok((after(TTL_ASSUMED_S), TtlSource::Assumed)),
        };
        let left = self.clock.until_wall(moment);
        if left > 0.0 {
            return Ok((
                now.saturating_add(left.min(EXPIRES_AT_MOST_MS) as u64),
                source,
            ));
        }
        match self.options.ttl {
            Some(seconds) => Ok((after(seconds), TtlSource::Option)),
            None => Err(Failure::fatal(
                Code::ResponseInvalid,
                [
                    field,
                    ": lies ",
                    &decimal((-left / 1000.0) as u64),
                    " s in the past by this device's clock, which may be wrong (clock skew); \
                     send ttl (seconds) as well, it needs no clock",
                ]
                .concat(),
            )),
        }
    }

    fn hold(&mut self, mut held: Held, fetch: Fetch, now: Instant, commands: &mut Vec<Command>) {
        self.attempts = 0;
        self.last_error = None;
        self.told_expired = false;
        if fetch.reason == Reason::Scheduled {
            self.rejections = 0;
        }
        let life = held.expires.saturating_sub(fetch.sent);
        let margin = (life / 4).min(MARGIN_MOST_MS);
        let refresh = held.expires.saturating_sub(2 * margin) + self.random.up_to(margin);
        self.plan = Some(Plan {
            at: refresh,
            reason: Reason::Scheduled,
        });

        let changed = self
            .held
            .as_ref()
            .is_none_or(|old| old.servers != held.servers);
        if changed {
            self.version += 1;
            // Those whose life is over need no revocation any more.
            self.superseded.retain(|(_, expires)| *expires > now);
            if let Some(old) = &self.held {
                self.superseded
                    .extend(old.usernames().map(|name| (name.clone(), old.expires)));
            }
        } else if let Some(old) = &self.held {
            // The same credential lives on: an error that came before is about this one too.
            held.since = old.since;
        }
        let assumed = held.ttl_source == TtlSource::Assumed;
        self.held = Some(held);
        let stamp = self.stamp(now);
        for (_, connection) in &mut self.connections {
            connection.restamp(stamp);
        }
        if self.opening.take().is_some() {
            commands.push(Command::Opened);
        } else {
            commands.push(Command::Emit(Event::Refreshed {
                reason: fetch.reason,
                changed,
            }));
        }
        if assumed && !self.told_assumed {
            self.told_assumed = true;
            commands.push(Command::Emit(Event::TtlAssumed));
        }
        self.answer_refresh(None, commands);
    }

    fn failed(
        &mut self,
        fetch: Fetch,
        failure: Failure,
        now: Instant,
        commands: &mut Vec<Command>,
    ) {
        self.attempts = self.attempts.saturating_add(1);
        self.last_error = Some(failure.clone());
        let life = self
            .held
            .as_ref()
            .map(|held| held.expires.saturating_sub(now))
            .filter(|life| *life > 0);
        let delay = retry::delay(self.attempts, failure.retry_after, life, &mut self.random);
        if let Some(began) = self.opening {
            if !failure.retryable
                || self.attempts >= OPENING_TRIES
                || now + delay > began + OPENING_MS
            {
                return self.open_failed(failure, commands);
            }
            self.plan = Some(Plan {
                at: now + delay,
                reason: Reason::Initial,
            });
            return;
        }
        self.refused = failure.is_refusal();
        let waits_for_online = !self.online && failure.code == Code::Network;
        if !self.refused && !waits_for_online {
            let reason = if fetch.reason == Reason::Manual {
                Reason::Scheduled
            } else {
                fetch.reason
            };
            self.plan = Some(Plan {
                at: now + delay,
                reason,
            });
        }
        commands.push(Command::Emit(Event::RefreshError {
            reason: fetch.reason,
            failure: failure.clone(),
        }));
        self.answer_refresh(Some(failure), commands);
    }

    fn answer_refresh(&mut self, failure: Option<Failure>, commands: &mut Vec<Command>) {
        if core::mem::take(&mut self.awaited) {
            commands.push(Command::RefreshDone(failure));
        }
    }

    fn woke(&mut self, online: bool, now: Instant) {
        // The page's timer slept too: it would fire that much too late.
        self.timer = None;
        if self.held.is_none() || self.fetch.is_some() {
            return;
        }
        // Wake-ups come in groups: the later ones do not put off what the first one began.
        let soon = now + WAKE_JITTER_MS;
        if self
            .plan
            .is_some_and(|plan| plan.reason == Reason::Wake && plan.at <= soon)
        {
            return;
        }
        let due = self.plan.is_none_or(|plan| plan.at <= now);
        let retrying = self.attempts > 0 && (online || self.is_expired(now));
        if self.refused || due || retrying {
            let at = now + self.random.up_to(WAKE_JITTER_MS);
            if self.plan.is_none_or(|plan| plan.at <= now || plan.at > at) {
                self.plan = Some(Plan {
                    at,
                    reason: Reason::Wake,
                });
                self.refused = false;
            }
        }
    }

    // ---- a credential that the TURN server refuses ---------------------------------------------------------------

    fn candidate_error(&mut self, connection: ConnectionId, url: &str, code: u16, now: Instant) {
        // 401 Unauthorized, 403 Forbidden, 441 Wrong Credentials (RFC 8656 section 18, RFC 8489 section 14.8).
        // 438 Stale Nonce is retried by the browser, 701 means no answer.
        if !matches!(code, 401 | 403 | 441) {
            return;
        }
        let Ok(url) = url.parse::<IceUri>() else {
            return;
        };
        let ours = self.held.iter().flat_map(|held| &held.servers);
        let ours = ours
            .filter(|server| server.credential.is_some())
            .flat_map(|server| &server.urls);
        if ours.into_iter().any(|known| known.is_same_place(&url))
            && self
                .connection(connection)
                .map(|found| found.gathered_version())
                == Some(self.version)
        {
            self.reject(now);
        }
    }

    /// The credential in force may be dead: fetches another one, at most one per backoff step.
    fn reject(&mut self, now: Instant) {
        let planned = self
            .plan
            .is_some_and(|plan| plan.reason == Reason::Rejected);
        if self.held.is_none()
            || self.fetch.is_some()
            || self.refused
            || self.attempts > 0
            || planned
        {
            return;
        }
        let at = self.reject_from.max(now);
        if self.plan.is_none_or(|plan| plan.at > at) {
            self.rejections = self.rejections.saturating_add(1);
            self.reject_from = at + retry::ceiling(self.rejections);
            self.plan = Some(Plan {
                at,
                reason: Reason::Rejected,
            });
        }
        // What was gathered with it has no life left to wait for.
        let dead = Stamp {
            expires: now,
            ..self.stamp(now)
        };
        for (_, connection) in &mut self.connections {
            connection.restamp(dead);
        }
    }

    // ---- connections ---------------------------------------------------------------------------------------------

    fn connection(&mut self, wanted: ConnectionId) -> Option<&mut Connection> {
        self.connections
            .iter_mut()
            .find(|(id, _)| *id == wanted)
            .map(|(_, connection)| connection)
    }

    fn with_connection(
        &mut self,
        id: ConnectionId,
        commands: &mut Vec<Command>,
        act: impl FnOnce(&mut Connection, &mut Vec<Act>),
    ) {
        let mut acts = Vec::new();
        if let Some(connection) = self.connection(id) {
            act(connection, &mut acts);
        }
        command(id, acts, commands);
    }

    fn attach(
        &mut self,
        id: ConnectionId,
        policy: Option<Policy>,
        facts: Facts,
        usernames: &[String],
        now: Instant,
        commands: &mut Vec<Command>,
    ) {
        if let Some(known) = self.connection(id) {
            if let Some(policy) = policy {
                known.policy = policy;
            }
            return;
        }
        // What it gathered from so far counts as ours only if it holds the credential in force.
        let name = self
            .held
            .as_ref()
            .and_then(Held::username)
            .map(Username::expose);
        let ours = name.is_none_or(|name| usernames.iter().any(|used| used == name));
        let expired = self.is_expired(now);
        let servers = if ours && !expired {
            self.stamp(now)
        } else {
            Stamp {
                version: 0,
                expires: now,
            }
        };
        let mut connection = Connection::new(policy.unwrap_or(self.options.policy), servers);
        let mut acts = Vec::new();
        connection.observe(facts, now, &mut acts);
        command(id, acts, commands);
        if !expired {
            connection.offered = self.version;
        }
        self.connections.push((id, connection));
        if !expired {
            commands.push(Command::Apply {
                connection: id,
                version: self.version,
            });
        }
    }

    fn stamp(&self, now: Instant) -> Stamp {
        Stamp {
            version: self.version,
            expires: self.held.as_ref().map_or(now, |held| held.expires),
        }
    }

    fn is_expired(&self, now: Instant) -> bool {
        self.held.as_ref().is_some_and(|held| now >= held.expires)
    }

    // ---- the end -------------------------------------------------------------------------------------------------

    fn open_failed(&mut self, failure: Failure, commands: &mut Vec<Command>) {
        if self.fetch.take().is_some() {
            commands.push(Command::CancelFetch);
        }
        self.closed = true;
        self.status = Status::Closed;
        commands.push(Command::OpenFailed(failure));
    }

    fn close(&mut self, revoke: bool, now: Instant, commands: &mut Vec<Command>) {
        if self.fetch.take().is_some() {
            commands.push(Command::CancelFetch);
        }
        self.closed = true;
        self.connections.clear();
        self.answer_refresh(Some(closed()), commands);
        if self.held.is_none() {
            self.status = Status::Closed;
            commands.push(Command::OpenFailed(closed()));
            return;
        }
        // The present one even if it seems expired: this device's clock may have been set forth.
        let mut usernames: Vec<Username> = Vec::new();
        let superseded = self.superseded.iter().filter(|(_, expires)| *expires > now);
        let superseded = superseded.map(|(username, _)| username);
        for username in superseded.chain(self.held.iter().flat_map(Held::usernames)) {
            if !usernames.contains(username) {
                usernames.push(username.clone());
            }
        }
        if revoke && !usernames.is_empty() {
            commands.push(Command::Revoke(usernames));
        }
        self.tell_status(Status::Closed, commands);
        commands.push(Command::Emit(Event::Closed));
    }

    // ---- after every input ---------------------------------------------------------------------------------------

    fn settle(&mut self, now: Instant, commands: &mut Vec<Command>) {
        if self.closed {
            return;
        }
        self.settle_expiry(now, commands);
        let suspects = self
            .connections
            .iter()
            .filter(|(_, c)| c.gathered_version() == self.version);
        let suspects: Vec<Instant> = suspects
            .filter_map(|(_, connection)| connection.suspect_since())
            .collect();
        if let Some(held) = &self.held {
            let since = held.since;
            if suspects.into_iter().any(|interrupted| interrupted >= since) {
                self.reject(now);
            }
        }
        self.settle_fetch(now, commands);
        let wake = self.settle_connections(now, commands);
        let expiry = self
            .held
            .as_ref()
            .map(|held| held.expires)
            .filter(|_| !self.told_expired);
        let plan = self.plan.map(|plan| self.not_before_floor(plan.at));
        let next = [wake, expiry, plan]
            .into_iter()
            .flatten()
            .fold(now + TIMER_MOST_MS, Instant::min)
            .max(now + 1);
        if self.timer != Some(next) {
            self.timer = Some(next);
            commands.push(Command::WakeIn(next - now));
        }
        let status = self.derive_status(now);
        self.tell_status(status, commands);
    }

    fn settle_expiry(&mut self, now: Instant, commands: &mut Vec<Command>) {
        if self.is_expired(now) && !self.told_expired {
            self.told_expired = true;
            let failure = Failure::retryable(
                Code::Expired,
                "the credential's life ended before a fresh one came; relayed connections will end, \
                 new ones get no relay until the backend answers",
            );
            commands.push(Command::Emit(Event::Expired(failure)));
        }
    }

    fn not_before_floor(&self, moment: Instant) -> Instant {
        self.last_sent
            .map_or(moment, |sent| moment.max(sent + retry::FLOOR_MS))
    }

    fn settle_fetch(&mut self, now: Instant, commands: &mut Vec<Command>) {
        if self.fetch.is_none()
            && let Some(plan) = self.plan
            && now >= self.not_before_floor(plan.at)
        {
            self.send(plan.reason, now, commands);
        }
    }

    fn settle_connections(&mut self, now: Instant, commands: &mut Vec<Command>) -> Option<Instant> {
        let fetching = self.fetch.is_some();
        let expired = self.is_expired(now);
        let mut wake: Option<Instant> = None;
        for (id, connection) in &mut self.connections {
            if connection.version() < self.version && !expired && connection.offered != self.version
            {
                connection.offered = self.version;
                commands.push(Command::Apply {
                    connection: *id,
                    version: self.version,
                });
            }
            let mut acts = Vec::new();
            let next = connection.drive(fetching, now, &mut acts);
            wake = [wake, next].into_iter().flatten().min();
            command(*id, acts, commands);
        }
        wake
    }

    fn derive_status(&self, now: Instant) -> Status {
        match () {
            () if self.held.is_none() => Status::Opening,
            () if self.is_expired(now) => Status::Expired,
            () if self.fetch.is_some() => Status::Refreshing,
            () if self.refused => Status::Refused,
            () if self.attempts > 0 => Status::Retrying,
            () => Status::Active,
        }
    }

    fn tell_status(&mut self, status: Status, commands: &mut Vec<Command>) {
        let previous = core::mem::replace(&mut self.status, status);
        if previous != status && previous != Status::Opening {
            commands.push(Command::Emit(Event::StatusChanged { status, previous }));
        }
    }
}

fn closed() -> Failure {
    Failure::fatal(
        Code::Closed,
        "the session is closed; open another one with openTurnSession()",
    )
}

/// A connection's wishes as commands.
fn command(id: ConnectionId, acts: Vec<Act>, commands: &mut Vec<Command>) {
    commands.extend(acts.into_iter().map(|act| match act {
        Act::Inspect => Command::Inspect(id),
        Act::Restart => Command::Restart(id),
        Act::Restarting { initiator, cause } => {
            Command::Emit(Event::Restarting(id, initiator, cause))
        }
        Act::Restarted {
            initiator,
            duration,
        } => Command::Emit(Event::Restarted(id, initiator, duration)),
        Act::Stalled => Command::Emit(Event::RestartStalled(id)),
        Act::Lost => Command::Emit(Event::ConnectionLost(id)),
    }));
}
