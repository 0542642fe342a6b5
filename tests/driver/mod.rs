//! Drives a session by hand: a simulated clock, a page's one timer, and a browser that applies servers at once.
//!
//! Commands come back with the moment at which they were given, in milliseconds of the test's own time. Wake-ups and proofs
//! are carried out by the driver and left out of the lists.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::Write;
use turn_wasm::core::clock::Now;
use turn_wasm::core::connection::{Act, EVEN, Facts, Ice, Pair, Policy, Signaling};
use turn_wasm::core::failure::{Code, Failure};
use turn_wasm::core::ice_server::IceServer;
use turn_wasm::core::selection::{Port53, Selection};
use turn_wasm::core::session::{
    Command, ConnectionId, Event, Input, Options, Reason, Session, State, Status,
};

/// 2024-05-01 in milliseconds since the epoch: where the tests' wall clocks start.
pub const EPOCH: f64 = 1_714_521_600_000.0;
/// Every credential of the tests' backends holds it.
pub const SECRET: &str = "hunter2";
pub const TURN: &str = "turn:turn.example.org:3478?transport=udp";

mod words;

/// A JSON text as the session reads it.
pub fn json(text: &str) -> String {
    words::words(text).unwrap()
}

/// A response whose lifetime, if any, is written by `members`, such as `"ttl":60`.
pub fn response(username: &str, members: &str) -> String {
    let comma = if members.is_empty() { "" } else { "," };
    json(&format!(
        r#"{{"iceServers":[{{"urls":["stun:stun.example.org:3478"]}},
            {{"urls":["{TURN}","turns:turn.example.org:443?transport=tcp"],
              "username":"{username}","credential":"{SECRET}-{username}"}}]{comma}{members}}}"#
    ))
}

/// A good response that lives for `ttl` seconds.
pub fn credential(username: &str, ttl: f64) -> String {
    response(username, &format!(r#""ttl":{ttl}"#))
}

pub fn network() -> Failure {
    Failure::retryable(Code::Network, "the backend cannot be reached")
}

pub fn status(status: u16) -> Failure {
    Failure::from_status(status, None)
}

pub fn options() -> Options {
    Options {
        ttl: None,
        selection: Selection {
            port53: Port53::Keep,
            transports: None,
            max: None,
        },
        policy: Policy::Relayed,
        seed: 1,
    }
}

pub fn fetch(fetch: u64, reason: Reason) -> Command {
    Command::Fetch { fetch, reason }
}

pub fn refreshed(reason: Reason, changed: bool) -> Command {
    Command::Emit(Event::Refreshed { reason, changed })
}

pub fn refresh_error(reason: Reason, failure: Failure) -> Command {
    Command::Emit(Event::RefreshError { reason, failure })
}

pub fn status_changed(previous: Status, status: Status) -> Command {
    Command::Emit(Event::StatusChanged { status, previous })
}

pub fn apply(connection: ConnectionId, version: u64) -> Command {
    Command::Apply {
        connection,
        version,
    }
}

/// A connection that was negotiated and runs on its first ICE generation.
pub fn connected() -> Facts {
    Facts {
        signaling: Signaling::Stable,
        ice: Ice::Connected,
        gathering: false,
        ufrag: Some("first".into()),
        first: Some(true),
        firefox: 0,
        lost: false,
    }
}

pub fn relayed(id: &str, ufrag: &str) -> Pair {
    Pair {
        id: id.into(),
        relayed: true,
        ufrag: Some(ufrag.into()),
    }
}

/// A command with its moment.
pub type Dated = (u64, Command);

/// The commands without their moments.
pub fn undated(commands: Vec<Dated>) -> Vec<Command> {
    commands.into_iter().map(|(_, command)| command).collect()
}

/// The username that a list of servers holds.
pub fn username(servers: &[IceServer]) -> Option<String> {
    servers
        .iter()
        .find_map(|server| Some(server.username.as_ref()?.expose().to_owned()))
}

pub struct Driver {
    session: Session,
    /// Milliseconds since the session was made: the tests' own time.
    pub at: u64,
    /// How far the wall clock was set forth or back.
    wall_set: f64,
    /// How far it was set forth only: to a session that is a sleep.
    set_forth: u64,
    /// How much of `at` the monotonic clock slept through.
    slept: u64,
    /// When the timer fires, on the monotonic clock.
    timer: Option<u64>,
    /// What arrives later, on the monotonic clock.
    later: Vec<(u64, Input)>,
    /// What each connection shows when it is looked at.
    pub facts: HashMap<ConnectionId, Facts>,
    /// Connections on which `setConfiguration` throws.
    pub refusing: Vec<ConnectionId>,
    /// A connection has taken servers, and the session does not know.
    taken: bool,
    /// What proving the servers in force comes to: 0 for a relay, a code, or no answer at all.
    pub proves: Option<u16>,
    /// When that was asked for.
    pub proofs: Vec<u64>,
    /// When the servers last gave a relay, as a session sees time.
    proven: Option<u64>,
    /// Connections whose selected pair is relayed.
    relayed: HashSet<ConnectionId>,
    /// The servers that each connection was last given, by username.
    pub given: HashMap<ConnectionId, Option<String>>,
    /// The last fetch that was asked for.
    pub fetch: u64,
    in_flight: bool,
    last_sent: Option<u64>,
}

impl Driver {
    pub fn new(options: Options) -> Self {
        let now = Now {
            wall: EPOCH,
            monotonic: 0.0,
        };
        Self {
            session: Session::new(options, now),
            at: 0,
            wall_set: 0.0,
            set_forth: 0,
            slept: 0,
            timer: None,
            later: Vec::new(),
            facts: HashMap::new(),
            refusing: Vec::new(),
            taken: false,
            proves: Some(0),
            proofs: Vec::new(),
            proven: None,
            relayed: HashSet::new(),
            given: HashMap::new(),
            fetch: 0,
            in_flight: false,
            last_sent: None,
        }
    }

    /// A session that was opened at 0 with a credential of this life in seconds.
    pub fn opened(ttl: f64) -> Self {
        Self::opened_with(options(), credential("alice", ttl))
    }

    pub fn opened_with(options: Options, body: String) -> Self {
        let mut driver = Self::new(options);
        assert_eq!(driver.input(Input::Open), [fetch(1, Reason::Initial)]);
        let commands = driver.fetched(body);
        assert_eq!(commands.first(), Some(&Command::Opened));
        driver
    }

    // ---- time ----------------------------------------------------------------------------------------------------

    pub fn now(&self) -> Now {
        Now {
            wall: EPOCH + self.at as f64 + self.wall_set,
            monotonic: self.monotonic() as f64,
        }
    }

    fn monotonic(&self) -> u64 {
        self.at - self.slept
    }

    /// Lets time pass up to `moment` on an awake page: the timer fires at the very moment it was set for.
    pub fn forward_to(&mut self, moment: u64) -> Vec<Dated> {
        self.forward_until(moment, |_| false)
    }

    /// Lets time pass until `is_met` is true of a command, or up to `moment`. Commands of that moment are complete.
    pub fn forward_until(&mut self, moment: u64, is_met: impl Fn(&Command) -> bool) -> Vec<Dated> {
        let mut log = Vec::new();
        loop {
            let last = moment - self.slept;
            let arrival = self.later.iter().map(|(due, _)| *due).min();
            let next = [self.timer, arrival].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= last) else {
                self.at = moment;
                return log;
            };
            self.at = self.at.max(next + self.slept);
            let input = match arrival {
                Some(due) if due == next => {
                    let place = self.later.iter().position(|(at, _)| *at == due).unwrap();
                    self.later.remove(place).1
                }
                _ => {
                    self.timer = None;
                    Input::Timer
                }
            };
            let commands = self.input_dated(input);
            let met = commands.iter().any(|(_, command)| is_met(command));
            log.extend(commands);
            if met {
                return log;
            }
        }
    }

    /// Lets this many milliseconds pass on an awake page.
    pub fn forward(&mut self, ms: u64) -> Vec<Dated> {
        self.forward_to(self.at + ms)
    }

    /// Lets time pass on a hidden page whose timers fire at whole minutes only, until `is_met` is true of a command.
    pub fn hidden_until(&mut self, moment: u64, is_met: impl Fn(&Command) -> bool) -> Vec<Dated> {
        loop {
            self.at = (self.at / 60_000 + 1) * 60_000;
            assert!(self.at <= moment, "nothing up to {moment} ms");
            if self.timer.is_some_and(|due| due <= self.monotonic()) {
                self.timer = None;
                let commands = self.input_dated(Input::Timer);
                if commands.iter().any(|(_, command)| is_met(command)) {
                    return commands;
                }
            }
        }
    }

    /// Lets time pass until the next fetch is asked for, and tells when that was.
    pub fn forward_to_fetch(&mut self, most: u64) -> (u64, Reason) {
        let log = self.forward_until(self.at + most, |c| matches!(c, Command::Fetch { .. }));
        log.iter()
            .find_map(|(at, command)| match command {
                Command::Fetch { reason, .. } => Some((*at, *reason)),
                _ => None,
            })
            .unwrap_or_else(|| panic!("no fetch within {most} ms, but {log:?}"))
    }

    /// The system sleeps: only the wall clock moves, and timers stand still.
    pub fn sleep(&mut self, ms: u64) {
        self.at += ms;
        self.slept += ms;
    }

    /// The wall clock is set forth or back.
    pub fn set_wall(&mut self, ms: f64) {
        self.wall_set += ms;
        self.set_forth += ms.max(0.0) as u64;
    }

    /// Time as a session should see it.
    pub fn elapsed(&self) -> u64 {
        self.at + self.set_forth
    }

    // ---- inputs --------------------------------------------------------------------------------------------------

    /// Hands in an input, and carries out what a browser carries out at once.
    pub fn input(&mut self, input: Input) -> Vec<Command> {
        undated(self.input_dated(input))
    }

    pub fn input_dated(&mut self, input: Input) -> Vec<Dated> {
        let was_closed = self.state().status == Status::Closed;
        let is_refresh = matches!(input, Input::Refresh);
        match &input {
            Input::Fetched { fetch, .. } | Input::FetchFailed { fetch, .. }
                if *fetch == self.fetch =>
            {
                self.in_flight = false;
            }
            Input::Created { connection, .. } => {
                self.facts.insert(*connection, Facts::NEW);
                let given = username(&self.servers());
                self.given.insert(*connection, given);
            }
            Input::Attached {
                connection, facts, ..
            }
            | Input::Observed { connection, facts } => {
                self.facts.insert(*connection, facts.clone());
            }
            Input::Proven { code: 0, .. } => self.proven = Some(self.elapsed()),
            Input::Inspected {
                connection, pairs, ..
            } => {
                if pairs.iter().any(|pair| pair.relayed) {
                    self.relayed.insert(*connection);
                } else {
                    self.relayed.remove(connection);
                }
            }
            _ => {}
        }
        let mut commands = Vec::new();
        self.session.handle(input, self.now(), &mut commands);
        if was_closed && !is_refresh {
            assert_eq!(commands, [], "a closed session commands nothing");
        }
        let mut queue = VecDeque::from(commands);
        let mut log = Vec::new();
        loop {
            let mut more = Vec::new();
            let Some(command) = queue.pop_front() else {
                if !std::mem::take(&mut self.taken) {
                    break;
                }
                self.session.handle(Input::Applied, self.now(), &mut more);
                queue.extend(more);
                continue;
            };
            self.perform(&command, &mut more);
            queue.extend(more);
            if !matches!(command, Command::WakeIn(_) | Command::Prove { .. }) {
                log.push((self.at, command));
            }
        }
        log
    }

    /// Hands in an input after a while.
    pub fn later(&mut self, ms: u64, input: Input) {
        self.later.push((self.monotonic() + ms, input));
    }

    fn perform(&mut self, command: &Command, more: &mut Vec<Command>) {
        match command {
            Command::WakeIn(ms) => {
                assert!((1..=30_000).contains(ms), "a timer of {ms} ms");
                self.timer = Some(self.monotonic() + ms);
            }
            Command::Fetch { fetch, reason } => {
                assert!(!self.in_flight, "two fetches in flight");
                assert!(*fetch > self.fetch, "a fetch's number came twice");
                if let (Some(last), false) = (self.last_sent, *reason == Reason::Manual) {
                    let now = self.elapsed();
                    assert!(now >= last + 250, "fetches at {last} and {now}");
                }
                self.in_flight = true;
                self.fetch = *fetch;
                self.last_sent = Some(self.elapsed());
            }
            Command::CancelFetch => {
                assert!(self.in_flight, "nothing to cancel");
                self.in_flight = false;
            }
            Command::Apply { connection, .. } => {
                let connection = *connection;
                if let Some(facts) = self.facts.get(&connection).cloned() {
                    let observed = Input::Observed { connection, facts };
                    self.session.handle(observed, self.now(), more);
                }
                if self.refusing.contains(&connection) {
                    let refused = Input::ApplyFailed {
                        connection,
                        message: "no".into(),
                    };
                    self.session.handle(refused, self.now(), more);
                } else {
                    let given = username(&self.servers());
                    self.given.insert(connection, given);
                    self.taken = true;
                }
            }
            Command::Act(connection, Act::Restart) if self.relayed.contains(connection) => {
                let (proven, now) = (
                    self.proven.expect("a restart without proof"),
                    self.elapsed(),
                );
                assert!(
                    now < proven + 3_000,
                    "a restart at {now}, proven at {proven}"
                );
            }
            Command::Prove { version } => {
                self.proofs.push(self.at);
                if let Some(code) = self.proves {
                    if code == 0 {
                        self.proven = Some(self.elapsed());
                    }
                    let version = *version;
                    let proven = Input::Proven { version, code };
                    self.session.handle(proven, self.now(), more);
                }
            }
            _ => {}
        }
    }

    /// The backend answers the fetch in flight.
    pub fn fetched(&mut self, body: String) -> Vec<Command> {
        self.input(Input::Fetched {
            fetch: self.fetch,
            body,
        })
    }

    /// The fetch in flight fails.
    pub fn failed(&mut self, failure: Failure) -> Vec<Command> {
        self.input(Input::FetchFailed {
            fetch: self.fetch,
            failure,
        })
    }

    /// A connection made by the session, negotiated, connected, and selected on a relay.
    pub fn relayed_connection(&mut self, connection: ConnectionId, facts: Facts) {
        self.input(Input::Created {
            connection,
            policy: None,
        });
        self.observe(connection, facts);
        self.inspected(connection, "first");
        // The first fetch is long past.
        self.forward(1_000);
    }

    pub fn observe(&mut self, connection: ConnectionId, facts: Facts) -> Vec<Command> {
        self.input(Input::Observed { connection, facts })
    }

    /// The statistics show a relayed pair of this generation.
    pub fn inspected(&mut self, connection: ConnectionId, ufrag: &str) -> Vec<Command> {
        self.input(Input::Inspected {
            connection,
            standing: EVEN,
            pairs: vec![relayed(&format!("pair-{ufrag}"), ufrag)],
        })
    }

    pub fn candidate_error(
        &mut self,
        connection: ConnectionId,
        url: &str,
        code: u16,
    ) -> Vec<Command> {
        self.input(Input::CandidateError {
            connection,
            url: url.into(),
            code,
        })
    }

    // ---- what can be seen ----------------------------------------------------------------------------------------

    pub fn servers(&mut self) -> Vec<IceServer> {
        let now = self.now();
        self.session.servers(now).cloned().collect()
    }

    /// The username that is handed out now.
    pub fn serves(&mut self) -> Option<String> {
        username(&self.servers())
    }

    pub fn state(&mut self) -> State<'_> {
        let now = self.now();
        self.session.state(now)
    }

    /// When the next fetch is planned, in the test's time.
    pub fn refresh_at(&mut self) -> Option<u64> {
        self.state().refresh_at.map(|wall| self.moment(wall))
    }

    /// When the credential's life ends, in the test's time.
    pub fn expires_at(&mut self) -> Option<u64> {
        self.state().expires_at.map(|wall| self.moment(wall))
    }

    fn moment(&self, wall: f64) -> u64 {
        (wall - EPOCH - self.wall_set) as u64
    }

    pub fn is_fetching(&self) -> bool {
        self.in_flight
    }

    /// Everything that could be printed by mistake.
    pub fn printed(&mut self) -> String {
        let mut text = String::new();
        let _ = write!(text, "{:?}", self.session);
        let state = self.state();
        let _ = write!(text, " {state:?} {state:#?}");
        text
    }
}
