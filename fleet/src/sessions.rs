//! A fleet of the sessions of `src/core`, each driven as a browser drives it: one timer, one fetch at a time.

use turn_wasm::core::clock::Now;
use turn_wasm::core::connection::Policy;
use turn_wasm::core::failure::Failure;
use turn_wasm::core::random::Random;
use turn_wasm::core::selection::{Port53, Selection};
use turn_wasm::core::session::{Command, Input, Options, Session};

use crate::backend::{Limiter, RETRY_AFTER, Verdict};
use crate::calendar::Calendar;
use crate::record::Record;
use crate::scenario::Scenario;

/// 2024-05-01 in milliseconds since the epoch: where the run's wall clock starts.
const EPOCH: f64 = 1_714_521_600_000.0;
/// An answer takes this long, in milliseconds.
const ANSWER_LEAST_MS: u64 = 50;
const ANSWER_MOST_MS: u64 = 250;
/// The longest single timer of a session. Those that only pass the time on to the next one are left out.
const TIMER_MOST_MS: u64 = 30_000;
const SPAN_MS: u64 = 100;

struct Client {
    session: Option<Session>,
    /// When its credential's life ends, in milliseconds; 0 before the first.
    expires: u64,
    late: bool,
    lapsed: bool,
}

/// Runs the scenario. With `every_timer` no timer is left out, which takes far longer and changes nothing.
pub fn run(scenario: &Scenario, every_timer: bool) -> Record {
    let mut fleet = Fleet::new(scenario, every_timer);
    let until_ms = scenario.until * 1000;
    let mut calendar = Calendar::new(until_ms, SPAN_MS);
    let mut clients: Vec<Client> = Vec::new();
    for id in 0..scenario.sessions {
        let opens = fleet.random.up_to(scenario.opens_within() * 1000 - 1);
        calendar.add(id, opens);
        clients.push(Client {
            session: None,
            expires: 0,
            late: false,
            lapsed: false,
        });
    }
    for second in 0..scenario.until {
        while let Some((at, id)) = calendar.next((second + 1) * 1000) {
            if let Some(client) = clients.get_mut(id as usize) {
                let mut next = fleet.act(client, id, at);
                // In an outage the others make no difference: at one go, while the session's memory is at hand.
                while scenario.is_down(next / 1000) {
                    next = fleet.act(client, id, next);
                }
                calendar.add(id, next);
            }
        }
    }
    for client in &mut clients {
        if client.expires < until_ms {
            fleet.lapsed(client, until_ms);
        }
    }
    fleet.record
}

/// What all clients of a run share.
struct Fleet<'a> {
    scenario: &'a Scenario,
    every_timer: bool,
    limiter: Limiter,
    random: Random,
    /// Every answer holds the same servers. A session without connections does not mind, and stays small.
    credential: String,
    too_many: Failure,
    down: Failure,
    record: Record,
    commands: Vec<Command>,
}

impl<'a> Fleet<'a> {
    fn new(scenario: &'a Scenario, every_timer: bool) -> Self {
        Self {
            scenario,
            every_timer,
            limiter: Limiter::new(scenario.limit),
            random: Random::new(scenario.seed),
            credential: credential(scenario.ttl),
            too_many: Failure::from_status(429, Some(RETRY_AFTER * 1000)),
            down: Failure::from_status(503, scenario.advice.map(|seconds| seconds * 1000)),
            record: Record::new(scenario),
            commands: Vec::new(),
        }
    }

    /// Lets the client do what it does at this moment, up to the answer of its fetch; returns when it acts next.
    fn act(&mut self, client: &mut Client, id: u32, at: u64) -> u64 {
        let mut now = at;
        let opened = client.session.is_some();
        let session = client.session.get_or_insert_with(|| {
            let seed = (self.scenario.seed << 32) | u64::from(id);
            Session::new(options(seed), reading(at))
        });
        let input = if opened { Input::Timer } else { Input::Open };
        let (mut fetch, mut next) = self.handle(session, input, now, u64::MAX);
        let asked = fetch.take().map(|number| (number, self.ask(opened, now)));
        if let Some((number, verdict)) = asked {
            // The same whoever came before.
            let mut random = Random::new(self.scenario.seed ^ now << 20 ^ u64::from(id));
            let answered = now + random.up_to(ANSWER_MOST_MS - ANSWER_LEAST_MS) + ANSWER_LEAST_MS;
            while next < answered {
                (fetch, next) = self.handle(session, Input::Timer, next, next);
                debug_assert!(fetch.is_none(), "two fetches in flight");
            }
            now = answered;
            let answer = self.answer(number, verdict);
            (fetch, next) = self.handle(session, answer, now, next);
            debug_assert!(fetch.is_none(), "a fetch follows another at once");
        }
        let passes = !self.every_timer && next == now + TIMER_MOST_MS;
        let issued = asked.is_some_and(|(_, verdict)| verdict == Verdict::Issued);
        let (mut expires, mut refresh) = (0, 0);
        if passes || issued {
            let state = session.state(reading(now));
            [expires, refresh] = [state.expires_at, state.refresh_at]
                .map(|moment| moment.map_or(0, |wall| (wall - EPOCH) as u64));
        }
        if asked.is_some() {
            self.account(client, issued.then_some(expires), at, now);
        }
        let ahead = [expires, refresh].into_iter().filter(|at| *at > now);
        let skipped = ahead.min().filter(|_| passes);
        skipped.unwrap_or(next)
    }

    /// Hands in an input; returns the fetch that is asked for, and when the timer fires: at `timer` if it stays.
    fn handle(
        &mut self,
        session: &mut Session,
        input: Input,
        now: u64,
        timer: u64,
    ) -> (Option<u64>, u64) {
        self.commands.clear();
        session.handle(input, reading(now), &mut self.commands);
        let (mut asked, mut next) = (None, timer);
        for command in &self.commands {
            match command {
                Command::Fetch { fetch, .. } => asked = Some(*fetch),
                Command::WakeIn(ms) => next = now + ms,
                _ => {}
            }
        }
        (asked, next)
    }

    fn ask(&mut self, counted: bool, now: u64) -> Verdict {
        if !counted {
            return Verdict::Issued;
        }
        let second = now / 1000;
        let verdict = if self.scenario.is_down(second) {
            Verdict::Down
        } else if self.limiter.gives(now) {
            Verdict::Issued
        } else {
            Verdict::TooMany
        };
        self.record.answered(second, verdict, 1);
        verdict
    }

    fn answer(&self, fetch: u64, verdict: Verdict) -> Input {
        let failure = match verdict {
            Verdict::Issued => {
                let body = self.credential.clone();
                return Input::Fetched { fetch, body };
            }
            Verdict::TooMany => self.too_many.clone(),
            Verdict::Down => self.down.clone(),
        };
        Input::FetchFailed { fetch, failure }
    }

    /// Its fetch was answered, with a credential that expires then, or in vain.
    fn account(&mut self, client: &mut Client, expires: Option<u64>, asked: u64, now: u64) {
        let fails = expires.is_none();
        if client.late != fails {
            client.late = fails;
            self.record.late(asked / 1000, fails);
        }
        let Some(expires) = expires else {
            return;
        };
        if client.expires > 0 && now > client.expires {
            self.lapsed(client, now);
        }
        client.expires = expires;
    }

    /// The client was without a live credential until now.
    fn lapsed(&mut self, client: &mut Client, now: u64) {
        self.record.dark(client.expires, now, !client.lapsed);
        client.lapsed = true;
    }
}

fn reading(at: u64) -> Now {
    Now {
        wall: EPOCH + at as f64,
        monotonic: at as f64,
    }
}

fn options(seed: u64) -> Options {
    Options {
        ttl: None,
        selection: Selection {
            port53: Port53::Keep,
            transports: None,
            max: None,
        },
        policy: Policy::Relayed,
        seed,
    }
}

/// A response in the words that the core reads, and no longer than one must be.
fn credential(ttl: u64) -> String {
    let server = "o kurls sturn:a kusername sb kcredential sc e";
    format!("o kiceServers a {server} e kttl s{ttl} e ").replace(' ', "\0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{HOUR, MINUTE, Opening, Policy};

    fn scenario() -> Scenario {
        Scenario {
            policy: Policy::TurnWasm,
            ttl: 600,
            sessions: 500,
            limit: 50,
            opening: Opening::Together,
            outages: vec![20 * MINUTE..22 * MINUTE, 40 * MINUTE..HOUR],
            advice: None,
            until: 90 * MINUTE,
            seed: 7,
        }
    }

    #[test]
    fn timers_that_only_pass_the_time_can_be_left_out() {
        assert!(run(&scenario(), true) == run(&scenario(), false));
    }

    #[test]
    fn another_seed_gives_another_course_and_an_outage_longer_than_the_ttl_spares_nobody() {
        let other = Scenario {
            seed: 8,
            ..scenario()
        };
        let (one, other) = (run(&scenario(), false), run(&other, false));
        assert!(one != other);
        assert_eq!((one.lapsed, other.lapsed), (500, 500));
        assert!(one.recovered_after(HOUR).is_some_and(|s| s < 20 * MINUTE));
    }

    #[test]
    fn nobody_lapses_while_the_backend_answers() {
        let calm = Scenario {
            outages: Vec::new(),
            ..scenario()
        };
        let record = run(&calm, false);
        assert_eq!(record.lapsed, 0);
        let span = HOUR..90 * MINUTE;
        let expected = 500.0 / Policy::TurnWasm.period(600) as f64;
        assert!((record.mean(&span) / expected - 1.0).abs() < 0.1);
    }
}
