//! The invariants of a session, over random schedules of inputs, sleeps, clock jumps and failures.
//!
//! `TURN_WASM_SCHEDULES` sets how many schedules are tried, 100,000 by default. A schedule that breaks an invariant is shrunk and printed in
//! words, a step a line.
//!
//! The model beside the session keeps its own account of time, of each credential's life and of what each connection
//! was given; the driver checks what holds for single commands (one fetch in flight, the floor between two automatic
//! ones, the length of timers, proof before a restart, silence after the end).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod driver;

use driver::{Driver, SECRET, TURN, credential, network, options, response, undated};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write};
use std::sync::{LazyLock, Mutex};
use turn_wasm::core::connection::{
    Act, CONTROLLED, EVEN, Facts, Ice, OUTRANKED, Pair, Policy, Signaling,
};
use turn_wasm::core::failure::{Code, Failure};
use turn_wasm::core::session::{Command, Event, Input, Options, Reason};
use turn_wasm::core::status::{Status, TRANSITIONS};

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const YEAR: u64 = 365 * DAY;

thread_local! {
    /// Panics of a schedule that is being shrunk are not printed; the last one is, with its schedule.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// The changes of status that happened in any schedule.
static SEEN: LazyLock<Mutex<HashSet<(Status, Status)>>> = LazyLock::new(Mutex::default);

/// How many schedules the environment asks for.
fn schedules_wanted() -> u32 {
    std::env::var("TURN_WASM_SCHEDULES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(100_000)
}

/// Tries as many random schedules as are wanted, but at most `most`, on all cores.
fn try_schedules<S: Strategy>(
    most: u32,
    schedules: impl Fn() -> S + Sync,
    check: impl Fn(&S::Value) + Sync,
) {
    let cases = schedules_wanted().min(most);
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    let config = Config {
        cases: cases.div_ceil(threads),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    };
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !QUIET.get() {
            loud(info);
        }
    }));
    let run = || {
        QUIET.set(true);
        let outcome = TestRunner::new(config.clone()).run(&schedules(), |schedule| {
            check(&schedule);
            Ok(())
        });
        outcome.map_err(|error| error.to_string())
    };
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    for outcome in outcomes {
        if let Err(error) = outcome {
            panic!("{error}");
        }
    }
}

// ---- schedules -----------------------------------------------------------------------------------------------------

/// The milliseconds of a ttl in seconds, less the fraction of one: 4.015 s are 4014.9999….
fn whole_ms(seconds: f64) -> u64 {
    (seconds * 1000.0) as u64
}

/// How the backend answers a fetch.
#[derive(Clone, Copy, PartialEq)]
enum Answer {
    /// Another credential, with this lifetime in milliseconds.
    Good {
        life: u64,
    },
    /// The credential that was given before, with another lifetime.
    Again {
        life: u64,
    },
    /// An absolute expiry, this far from the backend's moment in milliseconds.
    Until {
        life: i64,
    },
    /// A credential with an absurd ttl.
    Absurd(&'static str),
    Status {
        status: u16,
        retry_after: Option<u64>,
    },
    Unreachable,
    /// Nothing comes; the browser gives up after ten seconds.
    Hang,
}

/// One more than the generations there are.
const CONFLICT: u8 = 3;
const CONFLICT_ANSWERED: u8 = 4;
const BEHIND: u8 = 5;

#[derive(Clone, Copy)]
enum Step {
    /// Time passes on an awake page.
    Pass(u64),
    Sleep(u64),
    SetClock(i64),
    Backend(Answer, u64),
    Late,
    Woke,
    Online,
    Offline,
    Refresh,
    Create,
    Attach {
        own: bool,
        relayed: bool,
    },
    Detach(usize),
    Refuse(usize),
    Show(usize, Signaling, Ice, u8),
    /// Of [`CONFLICT`] and [`CONFLICT_ANSWERED`]: an old one, kept by a role conflict at an end that offered or answered the restart.
    /// From [`BEHIND`] on: those of the first generations once more, where the other end has raised its relays.
    Pair(usize, bool, u8),
    Rejected(usize, u16),
    /// What proving the servers comes to from now on.
    Proves(Option<u16>),
    Close {
        revoke: bool,
    },
    Abort,
}

#[derive(Clone)]
struct Schedule {
    seed: u64,
    ttl_option: Option<f64>,
    first: (Answer, u64),
    steps: Vec<Step>,
}

/// To the millisecond, so that a schedule can be tried again.
fn span(ms: u64) -> String {
    let mut text = String::new();
    let mut rest = ms;
    for (unit, name) in [(YEAR, "y"), (DAY, "d"), (HOUR, "h"), (MINUTE, "min")] {
        if rest >= unit {
            let _ = write!(text, "{} {name} ", rest / unit);
            rest %= unit;
        }
    }
    let _ = write!(text, "{} s", rest as f64 / 1000.0);
    text
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good { life } => write!(f, "a new credential for {}", span(*life)),
            Self::Again { life } => write!(f, "the same credential for {}", span(*life)),
            Self::Until { life } if *life < 0 => {
                write!(f, "an expiry {} ago", span(life.unsigned_abs()))
            }
            Self::Until { life } => write!(f, "an expiry in {}", span(life.unsigned_abs())),
            Self::Absurd(ttl) => write!(f, "ttl {ttl}"),
            Self::Status {
                status,
                retry_after,
            } => {
                write!(f, "status {status}")?;
                match retry_after {
                    Some(ms) => write!(f, ", retry after {}", span(*ms)),
                    None => Ok(()),
                }
            }
            Self::Unreachable => write!(f, "a network error"),
            Self::Hang => write!(f, "nothing"),
        }
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass(ms) => write!(f, "{} pass", span(*ms)),
            Self::Sleep(ms) => write!(f, "the system sleeps for {}", span(*ms)),
            Self::SetClock(ms) => {
                let way = if *ms < 0 { "back" } else { "forth" };
                write!(f, "the clock is set {way} by {}", span(ms.unsigned_abs()))
            }
            Self::Backend(answer, ms) => {
                write!(f, "the backend answers with {answer:?} after {}", span(*ms))
            }
            Self::Late => write!(f, "the answer to an earlier fetch comes late"),
            Self::Woke => write!(f, "the page is shown again"),
            Self::Online => write!(f, "the page is online"),
            Self::Offline => write!(f, "the page is offline"),
            Self::Refresh => write!(f, "the app asks for a refresh"),
            Self::Create => write!(f, "a connection is made"),
            Self::Attach { own, relayed } => {
                let whose = if *own { "our" } else { "foreign" };
                let how = if *relayed { "relayed" } else { "new" };
                write!(f, "a {how} connection with {whose} credential is attached")
            }
            Self::Detach(which) => write!(f, "connection no. {which} is detached"),
            Self::Refuse(which) => {
                write!(
                    f,
                    "connection no. {which} refuses servers from now on, or no longer"
                )
            }
            Self::Show(which, signaling, ice, generation) => write!(
                f,
                "connection no. {which} is {signaling:?}, {ice:?}, on generation {generation}"
            ),
            Self::Pair(which, relayed, generation) => {
                let how = if *relayed { "a relayed" } else { "a direct" };
                write!(
                    f,
                    "connection no. {which} has {how} pair of generation {generation}"
                )
            }
            Self::Rejected(which, code) => write!(f, "connection no. {which} sees error {code}"),
            Self::Proves(None) => write!(f, "the TURN server leaves tries unanswered"),
            Self::Proves(Some(0)) => write!(f, "the TURN server gives relays"),
            Self::Proves(Some(code)) => write!(f, "the TURN server answers with error {code}"),
            Self::Close { revoke } => write!(f, "the session is closed, revoke: {revoke}"),
            Self::Abort => write!(f, "the signal is aborted"),
        }
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n  seed {}", self.seed)?;
        if let Some(ttl) = self.ttl_option {
            write!(f, ", ttl option {ttl}")?;
        }
        write!(
            f,
            "\n  the session opens; the backend answers with {:?}",
            self.first.0
        )?;
        writeln!(f, " after {}", span(self.first.1))?;
        for step in &self.steps {
            writeln!(f, "  {step:?}")?;
        }
        Ok(())
    }
}

/// Spread evenly over the orders of magnitude.
fn magnitudes(from: u64, to: u64) -> impl Strategy<Value = u64> {
    ((from as f64).ln()..=(to as f64).ln()).prop_map(|ln| ln.exp() as u64)
}

fn any_life() -> impl Strategy<Value = u64> {
    prop_oneof![
        1 => 1..1_000_u64,
        8 => magnitudes(SECOND, 31 * DAY),
    ]
}

fn any_answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        6 => any_life().prop_map(|life| Answer::Good { life }),
        2 => any_life().prop_map(|life| Answer::Again { life }),
        1 => any_life().prop_map(|life| Answer::Until { life: life as i64 }),
        1 => any_life().prop_map(|life| Answer::Until { life: -(life as i64) }),
        1 => prop::sample::select(
            vec!["0", "-1", "1e300", "\"abc\"", "\"NaN\"", "-1e-300", "5e-324", "1e-4", "true", "{}"]
        ).prop_map(Answer::Absurd),
        3 => (prop::sample::select(vec![400, 401, 403, 404, 408, 425, 429, 500, 502, 503]),
            prop::option::weighted(0.3, magnitudes(1, 40 * DAY)))
            .prop_map(|(status, retry_after)| Answer::Status { status, retry_after }),
        2 => Just(Answer::Unreachable),
        1 => Just(Answer::Hang),
    ]
}

fn any_latency() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 1..500_u64, 1 => magnitudes(500, 9_999)]
}

fn any_connection() -> impl Strategy<Value = usize> {
    0..4_usize
}

fn any_step() -> impl Strategy<Value = Step> {
    let signaling = prop::sample::select(vec![
        Signaling::Stable,
        Signaling::Stable,
        Signaling::HaveLocalOffer,
        Signaling::HaveRemoteOffer,
    ]);
    let ice = prop::sample::select(vec![
        Ice::Connected,
        Ice::Connected,
        Ice::New,
        Ice::Checking,
        Ice::Disconnected,
        Ice::Failed,
    ]);
    prop_oneof![
        8 => magnitudes(1, HOUR).prop_map(Step::Pass),
        1 => magnitudes(HOUR, 6 * HOUR).prop_map(Step::Pass),
        3 => magnitudes(1, 40 * DAY).prop_map(Step::Sleep),
        1 => magnitudes(SECOND, 30 * YEAR).prop_map(|ms| Step::SetClock(ms as i64)),
        1 => magnitudes(SECOND, 30 * YEAR).prop_map(|ms| Step::SetClock(-(ms as i64))),
        6 => (any_answer(), any_latency()).prop_map(|(answer, ms)| Step::Backend(answer, ms)),
        1 => Just(Step::Late),
        2 => Just(Step::Woke),
        1 => Just(Step::Online),
        1 => Just(Step::Offline),
        2 => Just(Step::Refresh),
        2 => Just(Step::Create),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(own, relayed)| Step::Attach { own, relayed }),
        1 => any_connection().prop_map(Step::Detach),
        1 => any_connection().prop_map(Step::Refuse),
        4 => (any_connection(), signaling, ice, 0..3_u8)
            .prop_map(|(which, signaling, ice, generation)| Step::Show(which, signaling, ice, generation)),
        3 => (any_connection(), any::<bool>(), 0..BEHIND + 3)
            .prop_map(|(which, relayed, generation)| Step::Pair(which, relayed, generation)),
        2 => (any_connection(), prop::sample::select(vec![401, 403, 441, 438, 701]))
            .prop_map(|(which, code)| Step::Rejected(which, code)),
        1 => prop::sample::select(vec![Some(0), Some(0), Some(401), Some(701), None])
            .prop_map(Step::Proves),
    ]
}

fn any_schedule() -> impl Strategy<Value = Schedule> {
    let end = prop_oneof![
        2 => Just(None),
        1 => any::<bool>().prop_map(|revoke| Some(Step::Close { revoke })),
        1 => Just(Some(Step::Abort)),
    ];
    // Most sessions open at once: what happens to them afterwards is the longer story.
    let first = prop_oneof![
        4 => any_life().prop_map(|life| Answer::Good { life }),
        1 => any_answer(),
    ];
    (
        any::<u64>(),
        prop::option::weighted(0.3, magnitudes(1, 31 * 86_400).prop_map(|s| s as f64)),
        (first, any_latency()),
        prop::collection::vec(any_step(), 0..40),
        end,
        prop::collection::vec(any_step(), 0..4),
    )
        .prop_map(|(seed, ttl_option, first, mut steps, end, after)| {
            if let Some(end) = end {
                steps.push(end);
                steps.extend(after);
            }
            Schedule {
                seed,
                ttl_option,
                first,
                steps,
            }
        })
}

// ---- the model -----------------------------------------------------------------------------------------------------

struct Model {
    driver: Driver,
    answer: Answer,
    latency: u64,
    ttl_option: Option<f64>,
    names: u64,
    /// The username in force, and when its life ends.
    held: Option<(String, u64)>,
    /// What was handed out, in the order in which it came.
    /// With the end of each one's life, the latest if it came more than once.
    handed_out: Vec<(String, u64)>,
    /// When the fetch in flight was sent.
    sent: u64,
    /// What the backend sends for the fetch in flight: its username and when its life ends.
    coming: Option<(String, u64)>,
    connections: Vec<u32>,
    last_connection: u32,
    offered: HashMap<u32, u64>,
    /// Answers that come in the moment of their request.
    at_once: Vec<Input>,
    opened: bool,
    closed: bool,
}

impl Model {
    fn new(schedule: &Schedule) -> Self {
        let options = Options {
            seed: schedule.seed,
            ttl: schedule.ttl_option,
            ..options()
        };
        let mut model = Self {
            driver: Driver::new(options),
            answer: schedule.first.0,
            latency: schedule.first.1,
            ttl_option: schedule.ttl_option,
            names: 0,
            held: None,
            handed_out: Vec::new(),
            sent: 0,
            coming: None,
            connections: Vec::new(),
            last_connection: 0,
            offered: HashMap::new(),
            at_once: Vec::new(),
            opened: false,
            closed: false,
        };
        model.input(Input::Open);
        model
    }

    fn now(&self) -> u64 {
        self.driver.elapsed()
    }

    /// Lets time pass. The page's timer and the answers on their way come at their moments.
    fn pass(&mut self, ms: u64) {
        let until = self.driver.at + ms;
        // A credential of a few milliseconds is fetched four times a second: a stretch of that will do.
        let mut left = 100;
        while self.driver.at < until && left > 0 {
            left -= 1;
            let log = self.driver.forward_until(until, |command| {
                matches!(
                    command,
                    Command::Fetch { .. }
                        | Command::Opened
                        | Command::Emit(Event::Refreshed { .. })
                )
            });
            self.witness(undated(log));
            self.answer_at_once();
            self.check();
        }
    }

    fn input(&mut self, input: Input) {
        let commands = self.driver.input(input);
        self.witness(commands);
        self.answer_at_once();
    }

    fn answer_at_once(&mut self) {
        while let Some(input) = self.at_once.pop() {
            let commands = self.driver.input(input);
            self.witness(commands);
        }
    }

    fn witness(&mut self, commands: Vec<Command>) {
        for command in commands {
            let printed = format!("{command:?}");
            assert!(!printed.contains(SECRET), "a secret in {printed}");
            assert!(!printed.contains("user-"), "a whole username in {printed}");
            match command {
                Command::Fetch { fetch, .. } => self.serve(fetch),
                Command::CancelFetch => self.coming = None,
                Command::Opened => {
                    assert!(!std::mem::replace(&mut self.opened, true), "opened twice");
                    self.take();
                }
                Command::Emit(Event::Refreshed { changed, .. }) => {
                    let before = self.held.clone();
                    self.take();
                    let same = before.unwrap().0 == self.held.clone().unwrap().0;
                    assert_eq!(changed, !same, "whether the servers changed");
                }
                Command::OpenFailed(_) => {
                    assert!(!self.opened);
                    self.closed = true;
                }
                Command::Apply {
                    connection,
                    version,
                } => {
                    let last = self.offered.insert(connection, version);
                    assert!(
                        last.is_none_or(|last| last < version),
                        "connection {connection} is given version {version} after {last:?}"
                    );
                    assert!(self.connections.contains(&connection));
                }
                // With more in them than before.
                Command::Act(connection, Act::Raise) => {
                    let last = self.offered.entry(connection);
                    last.and_modify(|last| *last = last.saturating_sub(1));
                }
                Command::Act(connection, Act::Restart) => {
                    let facts = &self.driver.facts[&connection];
                    assert_eq!(facts.signaling, Signaling::Stable, "a restart in between");
                    assert!(self.connections.contains(&connection));
                }
                Command::Revoke(usernames) => {
                    // Those whose life is over need no revocation.
                    let revoked: HashSet<&str> =
                        usernames.iter().map(|name| name.expose()).collect();
                    assert_eq!(revoked.len(), usernames.len(), "a username comes twice");
                    assert!(
                        revoked
                            .iter()
                            .all(|name| self.handed_out.iter().any(|(n, _)| n == name))
                    );
                    let now = self.now();
                    for (name, expires) in &self.handed_out {
                        assert!(
                            *expires <= now || revoked.contains(name.as_str()),
                            "{name} still lives: {usernames:?}"
                        );
                    }
                    assert!(revoked.contains(self.held.clone().unwrap().0.as_str()));
                }
                Command::Emit(Event::StatusChanged { status, previous }) => {
                    SEEN.lock().unwrap().insert((previous, status));
                }
                Command::Emit(Event::Closed) => self.closed = true,
                _ => {}
            }
        }
    }

    /// The credential on its way came into force.
    fn take(&mut self) {
        let coming = self.coming.take().expect("a credential that nobody sent");
        assert!(
            coming.1 > self.now(),
            "a credential that was dead when it came"
        );
        self.handed_out.retain(|(name, _)| *name != coming.0);
        self.handed_out.push(coming.clone());
        self.held = Some(coming);
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("user-{}", self.names)
    }

    /// The backend gets a request.
    fn serve(&mut self, fetch: u64) {
        self.sent = self.now();
        self.coming = None;
        let fail = |failure| Input::FetchFailed { fetch, failure };
        let good = |body| Input::Fetched { fetch, body };
        let mut latency = self.latency;
        let input = match self.answer {
            Answer::Good { life } => {
                let name = self.name();
                let seconds = life as f64 / 1000.0;
                self.coming = Some((name.clone(), self.sent + whole_ms(seconds)));
                good(credential(&name, seconds))
            }
            Answer::Again { life } => {
                let name = match &self.held {
                    Some((name, _)) => name.clone(),
                    None => self.name(),
                };
                let seconds = life as f64 / 1000.0;
                self.coming = Some((name.clone(), self.sent + whole_ms(seconds)));
                good(credential(&name, seconds))
            }
            Answer::Until { life } => {
                // The page's clock may be set before the answer comes, so it is made up on arrival, without a latency.
                latency = 0;
                let name = self.name();
                let now = self.driver.now().wall;
                let moment = now + life as f64;
                let expires = match (life > 0 && moment >= 1e11, self.ttl_option) {
                    (true, _) => Some(self.now() + (life as u64).min(48 * HOUR)),
                    (false, Some(ttl)) => Some(self.sent + whole_ms(ttl)),
                    (false, None) => None,
                };
                self.coming = expires.map(|expires| (name.clone(), expires));
                if (1e11..1e14).contains(&moment) {
                    good(response(&name, &format!(r#""expiresAt":{moment}"#)))
                } else {
                    self.coming = None;
                    fail(network())
                }
            }
            Answer::Absurd(ttl) => {
                let name = self.name();
                good(response(&name, &format!(r#""ttl":{ttl}"#)))
            }
            Answer::Status {
                status,
                retry_after,
            } => fail(Failure::from_status(status, retry_after)),
            Answer::Unreachable => fail(network()),
            Answer::Hang => {
                latency = 10 * SECOND;
                fail(Failure::retryable(Code::Timeout, "no answer"))
            }
        };
        if latency == 0 {
            self.at_once.push(input);
        } else {
            self.driver.later(latency, input);
        }
    }

    fn connection(&self, which: usize) -> Option<u32> {
        self.connections.get(which).copied()
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Pass(ms) => self.pass(ms),
            Step::Sleep(ms) => self.driver.sleep(ms),
            Step::SetClock(ms) => {
                self.driver.set_wall(ms as f64);
                // The two clocks are read before the next jump.
                self.input(Input::Timer);
            }
            Step::Backend(answer, latency) => (self.answer, self.latency) = (answer, latency),
            Step::Late => {
                let fetch = self.driver.fetch.saturating_sub(1);
                self.input(Input::Fetched {
                    fetch,
                    body: credential("user-late", 3_600.0),
                });
            }
            Step::Woke => self.input(Input::Woke),
            Step::Online => self.input(Input::Online),
            Step::Offline => self.input(Input::Offline),
            Step::Refresh if self.opened => self.input(Input::Refresh),
            Step::Create if self.opened && !self.closed => {
                self.last_connection += 1;
                let connection = self.last_connection;
                self.connections.push(connection);
                self.input(Input::Created {
                    connection,
                    policy: None,
                });
            }
            Step::Attach { own, relayed } if self.opened && !self.closed => {
                self.last_connection += 1;
                let connection = self.last_connection;
                self.connections.push(connection);
                let name = self.held.clone().unwrap().0;
                let facts = Facts {
                    ufrag: Some("0".into()),
                    ice: Ice::Connected,
                    ..Facts::NEW
                };
                self.input(Input::Attached {
                    connection,
                    policy: Some(Policy::Always),
                    facts: if relayed { facts } else { Facts::NEW },
                    usernames: vec![if own { name } else { "foreign".into() }],
                });
            }
            Step::Detach(which) => {
                if let Some(connection) = self.connection(which) {
                    self.connections.remove(which);
                    self.input(Input::Detached { connection });
                }
            }
            Step::Refuse(which) => {
                if let Some(connection) = self.connection(which) {
                    let refusing = &mut self.driver.refusing;
                    match refusing.iter().position(|c| *c == connection) {
                        Some(place) => {
                            refusing.remove(place);
                        }
                        None => refusing.push(connection),
                    }
                }
            }
            Step::Show(which, signaling, ice, generation) => {
                if let Some(connection) = self.connection(which) {
                    let facts = Facts {
                        signaling,
                        ice,
                        gathering: ice == Ice::Checking,
                        ufrag: Some(generation.to_string()),
                        first: Some(connection % 2 == 0),
                        // Each generation has a fragment of its own at either end.
                        firefox: match connection % 4 {
                            1 => i64::from(generation) + 1,
                            2 => -1,
                            _ => 0,
                        },
                        lost: false,
                    };
                    self.input(Input::Observed { connection, facts });
                }
            }
            Step::Pair(which, relayed, generation) => {
                if let Some(connection) = self.connection(which) {
                    let pair = Pair {
                        id: format!("{relayed}{}", generation % BEHIND),
                        relayed,
                        ufrag: Some((generation % BEHIND).to_string()),
                    };
                    let standing = match generation {
                        CONFLICT => CONTROLLED,
                        CONFLICT_ANSWERED => CONTROLLED + 1,
                        BEHIND.. => OUTRANKED,
                        _ => EVEN,
                    };
                    self.input(Input::Inspected {
                        connection,
                        standing,
                        pairs: vec![pair],
                    });
                }
            }
            Step::Rejected(which, code) => {
                if let Some(connection) = self.connection(which) {
                    self.input(Input::CandidateError {
                        connection,
                        url: TURN.into(),
                        code,
                    });
                }
            }
            Step::Proves(code) => self.driver.proves = code,
            Step::Close { revoke } => self.input(Input::Close { revoke }),
            Step::Abort => self.input(Input::Abort),
            Step::Refresh | Step::Create | Step::Attach { .. } => {}
        }
        self.check();
    }

    /// What must hold at every moment.
    fn check(&mut self) {
        if self.closed {
            assert_eq!(self.driver.state().status, Status::Closed);
            return;
        }
        let now = self.now();
        let serves = self.driver.serves();
        match &self.held {
            // Millisecond fractions of a ttl are cut off.
            Some((_, expires)) if now + 1 == *expires => {}
            Some((name, expires)) if now < *expires => {
                assert_eq!(
                    serves.as_ref(),
                    Some(name),
                    "the live credential is handed out"
                );
            }
            _ => assert_eq!(serves, None, "nothing that is over is handed out"),
        }
        for connection in &self.connections {
            if let Some(Some(given)) = self.driver.given.get(connection) {
                assert!(self.handed_out.iter().any(|(name, _)| name == given));
            }
        }
    }

    fn check_secrets(&mut self) {
        let printed = self.driver.printed();
        assert!(!printed.contains(SECRET), "a secret in {printed}");
        assert!(!printed.contains("user-"), "a whole username in {printed}");
    }

    /// From wherever the schedule led: once the backend is well again and the page is awake, a live credential is held
    /// within the wake-up's second.
    fn check_recovery(&mut self) {
        // What is still on its way comes first.
        self.pass(11 * SECOND);
        let is_over = self.closed || !self.opened;
        self.answer = Answer::Good { life: HOUR };
        self.latency = 100;
        self.pass(11 * SECOND);
        self.input(Input::Online);
        self.input(Input::Woke);
        self.pass(1_250);
        if is_over {
            return;
        }
        assert!(!self.closed, "closed by itself");
        assert!(self.driver.serves().is_some(), "no live credential");
        let state = self.driver.state();
        // What the backend asked for is waited out as long as the credential lives.
        let asked = |error: &&Failure| error.retry_after.is_some();
        let waits = state.last_error.filter(asked).is_some();
        assert!(
            matches!(state.status, Status::Active | Status::Refreshing)
                || waits && state.status == Status::Retrying,
            "{:?}",
            state.status
        );
    }
}

fn check(schedule: &Schedule) {
    let mut model = Model::new(schedule);
    for (place, step) in schedule.steps.iter().enumerate() {
        model.step(*step);
        if place % 8 == 0 {
            model.check_secrets();
        }
    }
    model.check_secrets();
    model.check_recovery();
}

#[test]
fn the_invariants_hold_on_any_schedule() {
    try_schedules(u32::MAX, any_schedule, check);
    // The session itself checks that it makes no other change. A few schedules need not show them all.
    if schedules_wanted() < 30_000 {
        return;
    }
    for (from, to, cause) in TRANSITIONS {
        let told = *from != Status::Opening;
        let seen = SEEN.lock().unwrap().contains(&(*from, *to));
        assert!(seen || !told, "never seen: {from:?} to {to:?}, {cause}");
    }
}

// ---- a healthy backend ---------------------------------------------------------------------------------------------

#[derive(Clone, Debug)]
struct Healthy {
    seed: u64,
    /// In milliseconds.
    life: u64,
    /// The backend's answer comes within this part of the margin.
    latency: f64,
}

/// The refresh completes before expiry with a healthy backend and an awake page, for any lifetime from a second on.
fn check_healthy(healthy: &Healthy) {
    let seconds = healthy.life as f64 / 1000.0;
    let life = whole_ms(seconds);
    let margin = (life / 4).min(HOUR);
    let latency = ((margin as f64 * healthy.latency) as u64).min(9_000);
    let options = Options {
        seed: healthy.seed,
        ..options()
    };
    let body = |name: &str| credential(name, seconds);
    let mut driver = Driver::opened_with(options, body("user-0"));
    let mut expires = life;
    for name in ["user-1", "user-2"] {
        let (sent, reason) = driver.forward_to_fetch(life);
        assert_eq!(reason, Reason::Scheduled);
        assert!((expires - 2 * margin..=expires - margin).contains(&sent));
        assert_eq!(driver.forward(latency), []);
        let commands = driver.fetched(body(name));
        assert!(matches!(
            commands[0],
            Command::Emit(Event::Refreshed { .. })
        ));
        assert!(driver.at < expires);
        expires = sent + life;
    }
}

/// 1.005 s are 1004.9999… ms, of which the session counts the whole ones.
#[test]
fn a_healthy_refresh_starts_in_time_for_a_lifetime_that_no_double_holds() {
    check_healthy(&Healthy {
        seed: 14227242594781237378,
        life: 1_005,
        latency: 0.0,
    });
}

#[test]
fn the_refresh_completes_before_expiry_with_a_healthy_backend_and_an_awake_page() {
    let healthy = || {
        let parts = (any::<u64>(), magnitudes(SECOND, 31 * DAY), 0.0..0.99);
        parts.prop_map(|(seed, life, latency)| Healthy {
            seed,
            life,
            latency,
        })
    };
    // A month of thirty-second timers takes a while; the schedules above have their share of long lives.
    try_schedules(1_000, healthy, check_healthy);
}
