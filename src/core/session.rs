//! A session: one credential, and all connections that use it.
//!
//! [`Session::handle`] takes an input and the time, and appends commands that the caller carries out in their order.
//! After every input the whole session is looked at anew, so that a late timer, a wake-up or any event does what the
//! clock asks for. There is no async, no callback and no clock in here.
//!
//! With a lifetime L and a margin m = min(L / 4, 1 h) the refresh starts at a random moment in
//! [expiry − 2m, expiry − m]: clients that opened together drift apart, and all of m is left for retries and for the
//! ICE restart. The old credential serves until its true expiry, whatever fails.

use super::clock::{Clock, Instant, NEVER, Now};
pub use super::connection::ConnectionId;
use super::connection::{Act, Connection, Facts, Pair, Policy, SELECTING_MS, Stamp, Standing};
use super::decimal::decimal;
use super::failure::{Code, Failure};
use super::ice_server::{IceServer, Username};
use super::proof::Proof;
use super::random::Random;
use super::response::{self, Lifetime};
use super::retry;
use super::selection::{Drop, Selection};
pub use super::status::Status;
use super::uri::IceUri;
use super::value::Value;
use alloc::string::String;
use alloc::sync::Arc;
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
    /// A response arrived, as [`Value`] reads it.
    Fetched {
        fetch: u64,
        body: String,
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
    /// Each [`Command::Apply`] so far was carried out, or led to [`Input::ApplyFailed`].
    Applied,
    ApplyFailed {
        connection: ConnectionId,
        message: String,
    },
    Observed {
        connection: ConnectionId,
        facts: Facts,
    },
    Inspected {
        connection: ConnectionId,
        standing: Standing,
        pairs: Vec<Pair>,
    },
    /// An `icecandidateerror` event.
    CandidateError {
        connection: ConnectionId,
        url: String,
        code: u16,
    },
    /// The answer to [`Command::Prove`]: 0 for a relay candidate, else the error's code.
    Proven {
        version: u64,
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
    /// Apply the servers in force, and answer with [`Input::ApplyFailed`], or, once no command is left, with [`Input::Applied`].
    Apply {
        connection: ConnectionId,
        version: u64,
    },
    /// Gather from the servers in force on a throwaway connection, until there is a relay candidate.
    Prove {
        version: u64,
    },
    /// What a connection wants done or told.
    Act(ConnectionId, Act),
    Revoke(Vec<Username>),
    Opened,
    OpenFailed(Failure),
    RefreshDone(Option<Failure>),
    Emit(Event),
}

/// What the app is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Refreshed {
        reason: Reason,
        changed: bool,
    },
    RefreshError {
        reason: Reason,
        failure: Failure,
    },
    Expired(Failure),
    Applied(ConnectionId),
    ApplyError(ConnectionId, Failure),
    TtlAssumed,
    /// Something in the response is of no use, and the rest is.
    LeftOut(Failure),
    StatusChanged {
        status: Status,
        previous: Status,
    },
    Closed,
}

/// The credential in force.
#[derive(Clone, Debug, PartialEq)]
struct Held {
    servers: Vec<IceServer>,
    dropped: Vec<(String, Drop)>,
    fault: Option<Failure>,
    expires: Instant,
    ttl_s: f64,
    ttl_source: TtlSource,
}

impl Held {
    fn username(&self) -> Option<&Username> {
        self.servers
            .iter()
            .find_map(|server| server.username.as_ref())
    }
}

/// When a credential is fetched next, and why.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// [`NEVER`] for not at all.
    at: Instant,
    reason: Reason,
}

impl Plan {
    const NONE: Self = Self {
        at: NEVER,
        reason: Reason::Initial,
    };
}

/// A session's state as the app may see it: no secrets. Moments in milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct State<'a> {
    held: Option<&'a Held>,
    pub status: Status,
    pub expires_at: Option<f64>,
    pub refresh_at: Option<f64>,
    pub ttl_s: f64,
    pub ttl_source: TtlSource,
    pub username: Option<String>,
    pub attempts: u32,
    pub connections: usize,
    pub last_error: Option<&'a Failure>,
}

impl State<'_> {
    /// The servers handed out.
    pub fn servers(&self) -> &[IceServer] {
        self.held.map_or(&[], |held| &held.servers)
    }

    /// What was left out of the response.
    pub fn dropped(&self) -> &[(String, Drop)] {
        self.held.map_or(&[], |held| &held.dropped)
    }
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
    held: Option<Arc<Held>>,
    /// When it arrived; of one that was renewed, when it first did.
    since: Instant,
    /// Counts the different lists of servers; 0 before the first.
    version: u64,
    /// That this list gives a relay.
    proof: Proof,
    /// It was fetched since the one before was refused, or came after failures.
    cure: bool,
    /// Why a credential is being fetched.
    fetch: Option<Reason>,
    /// Counts them: the number of the last one.
    fetches: u64,
    /// When it was sent.
    sent: Instant,
    plan: Plan,
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
    connections: Vec<Connection>,
    /// Earlier credentials that may still be alive.
    superseded: Vec<Arc<Held>>,
    /// When the timer fires, or [`NEVER`].
    timer: Instant,
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
            since: 0,
            version: 0,
            proof: Proof::NONE,
            cure: false,
            fetch: None,
            fetches: 0,
            sent: 0,
            plan: Plan::NONE,
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
            timer: NEVER,
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
        let concerned = match &input {
            Input::ApplyFailed { connection, .. }
            | Input::Observed { connection, .. }
            | Input::Inspected { connection, .. } => Some(*connection),
            _ => None,
        };
        match input {
            Input::Open => {
                self.opening = Some(now);
                self.plan(now, Reason::Initial);
            }
            Input::Fetched { fetch, body } => {
                if fetch == self.fetches
                    && let Some(reason) = self.fetch.take()
                {
                    match self.read(&Value::new(&body), now) {
                        Ok(held) => self.hold(held, reason, now, commands),
                        Err(failure) => self.failed(reason, failure, now, commands),
                    }
                }
            }
            Input::FetchFailed { fetch, failure } => {
                if fetch == self.fetches
                    && let Some(reason) = self.fetch.take()
                {
                    self.failed(reason, failure, now, commands);
                }
            }
            Input::Timer => self.timer = NEVER,
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
                let servers = self.stamp_of(!self.is_expired(now), now);
                let policy = policy.unwrap_or(self.options.policy);
                self.connections
                    .push(Connection::new(connection, policy, servers));
            }
            Input::Attached {
                connection,
                policy,
                facts,
                usernames,
            } => {
                self.attach(connection, policy, facts, &usernames, now, commands);
            }
            Input::Detached { connection } => {
                self.connections.retain(|known| known.id != connection)
            }
            Input::Applied => {
                let (servers, cure) = (self.stamp(now), self.cure);
                for connection in &mut self.connections {
                    if connection.takes(servers.version) {
                        connection.applied(servers, cure, now);
                        commands.push(Command::Emit(Event::Applied(connection.id)));
                    }
                }
            }
            Input::ApplyFailed {
                connection,
                message,
            } => {
                if let Some(found) = self.connection(connection) {
                    found.taking = false;
                    let told =
                        "setConfiguration refused the new servers, the old ones stay in force: ";
                    let failure = Failure::of(Code::ApplyFailed, false, &[told, &message]);
                    commands.push(Command::Emit(Event::ApplyError(connection, failure)));
                }
            }
            Input::Observed { connection, facts } => {
                if let Some(found) = self.connection(connection) {
                    found.observe(facts, now, commands);
                }
            }
            Input::Inspected {
                connection,
                standing,
                pairs,
            } => {
                if let Some(found) = self.connection(connection) {
                    found.inspected(standing, pairs, now, commands);
                }
            }
            Input::CandidateError {
                connection,
                url,
                code,
            } => self.candidate_error(connection, &url, code, now),
            Input::Proven { version, code } => {
                if version == self.version {
                    self.proof.answered(code == 0, now);
                    if is_refusal(code) {
                        self.reject(now);
                    }
                }
            }
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
        self.settle(concerned, now, commands);
    }

    // ---- what is asked -------------------------------------------------------------------------------------------

    /// The servers to hand out: of an expired credential only those that need none.
    pub fn servers(&mut self, now: Now) -> impl Iterator<Item = &IceServer> {
        let now = self.clock.advance(now);
        let expired = self.is_expired(now);
        let servers = self.held.as_ref().map_or(&[][..], |held| &held.servers);
        servers
            .iter()
            .filter(move |server| !expired || server.credential.is_none())
    }

    /// A snapshot.
    pub fn state(&mut self, now: Now) -> State<'_> {
        let now = self.clock.advance(now);
        let held = self.held.as_deref();
        let wall_at = |moment| {
            let shown = !self.closed && moment < NEVER;
            shown.then(|| self.clock.wall_at(moment))
        };
        State {
            held,
            // After a sleep the app may look before any timer or event told of the lapse.
            status: if self.closed {
                Status::Closed
            } else {
                self.derive_status(now)
            },
            expires_at: wall_at(held.map_or(NEVER, |held| held.expires)),
            refresh_at: wall_at(self.plan.at),
            ttl_s: held.map_or(0.0, |held| held.ttl_s),
            ttl_source: held.map_or(TtlSource::Assumed, |held| held.ttl_source),
            username: held.and_then(Held::username).map(Username::redacted),
            attempts: self.attempts,
            connections: self.connections.len(),
            last_error: self.last_error.as_ref(),
        }
    }

    // ---- fetching ------------------------------------------------------------------------------------------------

    fn send(&mut self, reason: Reason, now: Instant, commands: &mut Vec<Command>) {
        self.plan = Plan::NONE;
        self.refused = false;
        self.fetches += 1;
        self.sent = now;
        self.fetch = Some(reason);
        commands.push(Command::Fetch {
            fetch: self.fetches,
            reason,
        });
    }

    fn plan(&mut self, at: Instant, reason: Reason) {
        self.plan = Plan { at, reason };
    }

    fn read(&self, body: &Value<'_>, now: Instant) -> Result<Held, Failure> {
        let response = response::read(body)?;
        let mut dropped = response.dropped;
        let servers = self
            .options
            .selection
            .apply(&response.servers, &mut dropped);
        if servers.is_empty() {
            return Err(Failure::fatal(
                Code::ResponseInvalid,
                "iceServers: no URL is left of those in the response; the options trickle and urls drop them all",
            ));
        }
        let (expires, ttl_source) = self.expiry(response.lifetime, now)?;
        if expires <= now {
            return Err(Failure::retryable(
                Code::Expired,
                "the credential's life was over when it arrived: the response took longer than its ttl",
            ));
        }
        let ttl_s = expires.saturating_sub(self.sent) as f64 / 1000.0;
        Ok(Held {
            servers,
            dropped,
            fault: response.fault,
            expires,
            ttl_s,
            ttl_source,
        })
    }

    /// Lifetimes count from the moment the request was sent, never from a server's clock; an absolute expiry is
    /// translated by the local clock, for lack of a better one.
    fn expiry(
        &self,
        lifetime: Option<Lifetime>,
        now: Instant,
    ) -> Result<(Instant, TtlSource), Failure> {
        let (moment, source, field) = match lifetime {
            Some(Lifetime::ExpiresAt(moment)) => (moment, TtlSource::Response, "expiresAt"),
            Some(Lifetime::Username(moment)) => {
                (moment, TtlSource::Username, "the username's timestamp")
            }
            Some(Lifetime::Ttl(_)) | None => (0.0, TtlSource::Response, ""),
        };
        let left = self.clock.until_wall(moment);
        if left > 0.0 && !field.is_empty() {
            return Ok((now + left.min(EXPIRES_AT_MOST_MS) as u64, source));
        }
        let (seconds, source) = match (lifetime, self.options.ttl) {
            (Some(Lifetime::Ttl(seconds)), _) => (seconds, TtlSource::Response),
            (_, Some(seconds)) => (seconds, TtlSource::Option),
            (None, None) => (TTL_ASSUMED_S, TtlSource::Assumed),
            _ => {
                let message = [
                    field,
                    ": lies ",
                    &decimal((-left / 1000.0) as u64),
                    " s in the past by this device's clock, which may be wrong (clock skew); \
                     send ttl (seconds) as well, it needs no clock",
                ];
                return Err(Failure::of(Code::ResponseInvalid, false, &message));
            }
        };
        Ok((self.sent + (seconds * 1000.0) as u64, source))
    }

    fn hold(&mut self, held: Held, reason: Reason, now: Instant, commands: &mut Vec<Command>) {
        let failed = core::mem::take(&mut self.attempts) > 0;
        self.last_error = None;
        self.told_expired = false;
        if reason == Reason::Scheduled {
            self.rejections = 0;
        }
        let life = held.expires.saturating_sub(self.sent);
        let margin = (life / 4).min(MARGIN_MOST_MS);
        let refresh = held.expires.saturating_sub(2 * margin) + self.random.up_to(margin);
        self.plan(refresh, Reason::Scheduled);

        let old = self.held.take();
        let changed = old.as_ref().is_none_or(|old| old.servers != held.servers);
        // If the same credential lives on, an error that came before is about this one too.
        if changed {
            self.version += 1;
            self.proof.renew(now);
            self.cure = failed || reason == Reason::Rejected;
            self.since = now;
            self.supersede(old, now);
        }
        let assumed = held.ttl_source == TtlSource::Assumed;
        let fault = held.fault.clone();
        self.held = Some(Arc::new(held));
        let stamp = self.stamp(now);
        for connection in &mut self.connections {
            connection.restamp(stamp);
        }
        if self.opening.take().is_some() {
            commands.push(Command::Opened);
        } else {
            commands.push(Command::Emit(Event::Refreshed { reason, changed }));
        }
        if assumed && !self.told_assumed {
            self.told_assumed = true;
            commands.push(Command::Emit(Event::TtlAssumed));
        }
        if let Some(fault) = fault {
            commands.push(Command::Emit(Event::LeftOut(fault)));
        }
        self.answer_refresh(None, commands);
    }

    /// Puts a credential to the earlier ones, of which those whose life is over need no revocation any more.
    fn supersede(&mut self, old: Option<Arc<Held>>, now: Instant) {
        self.superseded.retain(|old| old.expires > now);
        if let Some(old) = old {
            self.superseded.push(old);
        }
    }

    fn failed(
        &mut self,
        reason: Reason,
        failure: Failure,
        now: Instant,
        commands: &mut Vec<Command>,
    ) {
        self.attempts = self.attempts.saturating_add(1);
        self.last_error = Some(failure.clone());
        let (life, most) = match &self.held {
            Some(held) if now < held.expires => {
                let life = held.expires - now;
                (life, life / 2)
            }
            Some(held) => (NEVER, (held.ttl_s * 250.0) as u64),
            None => (NEVER, NEVER),
        };
        // A credential that may be dead is urgent, however long its life.
        let failures = match reason {
            Reason::Rejected => self.attempts.min(retry::STEPS),
            _ => self.attempts,
        };
        let asked = failure.retry_after;
        let delay = retry::delay(failures, asked, life, most, &mut self.random);
        if let Some(began) = self.opening {
            if !failure.retryable
                || self.attempts >= OPENING_TRIES
                || now + delay > began + OPENING_MS
            {
                return self.open_failed(failure, commands);
            }
            self.plan(now + delay, Reason::Initial);
            return;
        }
        self.refused = failure.is_refusal();
        let waits_for_online = !self.online && failure.code == Code::Network;
        if !self.refused && !waits_for_online {
            let next = if reason == Reason::Manual {
                Reason::Scheduled
            } else {
                reason
            };
            self.plan(now + delay, next);
        }
        commands.push(Command::Emit(Event::RefreshError {
            reason,
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
        self.timer = NEVER;
        if self.held.is_none() || self.fetch.is_some() {
            return;
        }
        // Wake-ups come in groups: the later ones do not put off what the first one began.
        let soon = now + WAKE_JITTER_MS;
        if self.plan.reason == Reason::Wake && self.plan.at <= soon {
            return;
        }
        let planned = (now + 1..NEVER).contains(&self.plan.at);
        // What the backend asked for is not cut short by the network.
        let asked = self
            .last_error
            .as_ref()
            .is_some_and(|error| error.retry_after.is_some());
        let retrying = self.attempts > 0 && (online && !asked || self.is_expired(now));
        if self.refused || !planned || retrying {
            let at = now + self.random.up_to(WAKE_JITTER_MS);
            if !planned || self.plan.at > at {
                self.plan(at, Reason::Wake);
                self.refused = false;
            }
        }
    }

    // ---- a credential that the TURN server refuses ---------------------------------------------------------------

    fn candidate_error(&mut self, connection: ConnectionId, url: &str, code: u16, now: Instant) {
        if !is_refusal(code) {
            return;
        }
        let Ok(url) = url.parse::<IceUri>() else {
            return;
        };
        let version = self.version;
        let found = self.connection(connection);
        let present = found.is_some_and(|found| found.gathered_version() == version);
        let ours = self.held.as_ref().map_or(&[][..], |held| &held.servers);
        let ours = ours.iter().any(|server| {
            server.credential.is_some() && server.urls.iter().any(|ours| ours.is_same_place(&url))
        });
        if present && ours {
            self.reject(now);
        }
    }

    /// The credential in force may be dead: fetches another one, at most one per backoff step.
    fn reject(&mut self, now: Instant) {
        let planned = self.plan.reason == Reason::Rejected;
        if self.fetch.is_some() || self.refused || self.attempts > 0 || planned {
            return;
        }
        let at = self.reject_from.max(now);
        if self.plan.at > at {
            self.rejections = self.rejections.saturating_add(1);
            self.reject_from = at + retry::ceiling(self.rejections);
            self.plan(at, Reason::Rejected);
        }
        // What was gathered with it has no life left to wait for.
        let dead = Stamp {
            expires: now,
            ..self.stamp(now)
        };
        for connection in &mut self.connections {
            connection.restamp(dead);
        }
    }

    // ---- connections ---------------------------------------------------------------------------------------------

    fn connection(&mut self, wanted: ConnectionId) -> Option<&mut Connection> {
        self.connections
            .iter_mut()
            .find(|connection| connection.id == wanted)
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
        let name = self.held.as_deref().and_then(Held::username);
        let ours = name.is_none_or(|name| usernames.iter().any(|used| used == name.expose()));
        let expired = self.is_expired(now);
        let servers = self.stamp_of(ours && !expired, now);
        let mut connection = Connection::new(id, policy.unwrap_or(self.options.policy), servers);
        connection.observe(facts, now, commands);
        if !expired {
            connection.offer(self.version);
            commands.push(Command::Apply {
                connection: id,
                version: self.version,
            });
        }
        self.connections.push(connection);
    }

    /// Of the servers in force, or of others that have no life left.
    fn stamp_of(&self, ours: bool, now: Instant) -> Stamp {
        if ours {
            return self.stamp(now);
        }
        Stamp {
            version: 0,
            expires: now,
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
        self.supersede(self.held.clone(), now);
        for held in &self.superseded {
            for server in &held.servers {
                if let Some(username) = &server.username
                    && !usernames.contains(username)
                {
                    usernames.push(username.clone());
                }
            }
        }
        if revoke && !usernames.is_empty() {
            commands.push(Command::Revoke(usernames));
        }
        self.tell_status(Status::Closed, commands);
        commands.push(Command::Emit(Event::Closed));
    }

    // ---- after every input ---------------------------------------------------------------------------------------

    /// `concerned`: the one connection that something happened to, if it was to one.
    fn settle(
        &mut self,
        concerned: Option<ConnectionId>,
        now: Instant,
        commands: &mut Vec<Command>,
    ) {
        if self.closed {
            return;
        }
        self.settle_expiry(now, commands);
        if self.held.is_some()
            && self.connections.iter().any(|connection| {
                concerned.is_none_or(|id| id == connection.id)
                    && connection.gathered_version() == self.version
                    && connection.is_suspect_since(self.since)
            })
        {
            self.reject(now);
        }
        if self.fetch.is_none() && now >= self.due() {
            self.send(self.plan.reason, now, commands);
        }
        let mut next = now + TIMER_MOST_MS;
        self.settle_connections(concerned, now, &mut next, commands);
        if let Some(held) = &self.held
            && !self.told_expired
        {
            next = next.min(held.expires);
        }
        next = next.min(self.due()).max(now + 1);
        if self.timer != next {
            self.timer = next;
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

    /// When the planned fetch may be sent.
    fn due(&self) -> Instant {
        if self.fetches == 0 {
            return self.plan.at;
        }
        self.plan.at.max(self.sent + retry::FLOOR_MS)
    }

    fn settle_connections(
        &mut self,
        concerned: Option<ConnectionId>,
        now: Instant,
        wake: &mut Instant,
        commands: &mut Vec<Command>,
    ) {
        let expired = self.is_expired(now);
        let fetching = self.fetch.is_some() || expired && !self.refused;
        for connection in &mut self.connections {
            if concerned.is_some_and(|id| id != connection.id) && now < connection.due {
                debug_assert!(connection.rests(fetching, &self.proof, now));
                *wake = connection.due.min(*wake);
                continue;
            }
            // Until it is known better.
            connection.due = now;
            let mut busy = NEVER;
            if connection.offered != self.version && !expired {
                busy = connection.busy_until(now);
                if connection.takes_now(busy, now) {
                    connection.raise(SELECTING_MS, now, commands);
                    connection.offer(self.version);
                    commands.push(Command::Apply {
                        connection: connection.id,
                        version: self.version,
                    });
                }
            }
            if connection.takes(self.version) {
                // Looked at again with the answer to that.
                continue;
            }
            let next = connection.drive(fetching, &mut self.proof, now, commands);
            let next = next.min(busy);
            *wake = next.min(*wake);
            // One that waits for a relay says so again each time.
            if !self.proof.is_wanted() {
                connection.due = next;
            }
        }
        // An expired credential proves nothing, and the fresh one is told of by itself.
        if !expired {
            let (due, next) = self.proof.due(now);
            if due {
                let version = self.version;
                commands.push(Command::Prove { version });
            }
            *wake = next.min(*wake);
        }
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
        debug_assert!(
            status == previous || previous.leads_to(status),
            "{previous:?} to {status:?}"
        );
        if previous != status && previous != Status::Opening {
            commands.push(Command::Emit(Event::StatusChanged { status, previous }));
        }
    }
}

/// 401 Unauthorized, 403 Forbidden, 441 Wrong Credentials (RFC 8656 section 18, RFC 8489 section 14.8). 438 Stale Nonce is
/// retried by the browser, 701 means no answer.
fn is_refusal(code: u16) -> bool {
    matches!(code, 401 | 403 | 441)
}

fn closed() -> Failure {
    Failure::fatal(
        Code::Closed,
        "the session is closed; open another one with openTurnSession()",
    )
}
