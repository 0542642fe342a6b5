//! Which fleets are run, and on how many cores.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::record::Record;
use crate::scenario::{HOUR, MINUTE, Opening, Policy, Scenario, margin};
use crate::{fixed, sessions};

/// The two lifetimes, in seconds.
pub const SHORT: u64 = 600;
pub const DAY: u64 = 86_400;
pub const TTLS: [u64; 2] = [SHORT, DAY];

pub const LONG_OUTAGE: u64 = 30 * MINUTE;
/// Lengths of the outages shorter than a margin, in hundredths of it.
pub const SHORT_OUTAGES: [u64; 4] = [25, 50, 75, 98];
/// The outages that fall into the first refreshes of a fleet: seconds from their beginning.
pub const IN_WAVE: [u64; 2] = [0, 30 * MINUTE];

/// What a run is to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// The first refreshes after all sessions opened within a minute, nothing in their way.
    Wave,
    /// The same with an outage of half an hour in the middle of it; with the short ttl the steady state, then the outage.
    LongOutage,
    /// Outages of several lengths in the steady state, each shorter than a margin; with the long ttl that state before them.
    ShortOutages,
    /// An outage just shorter than a margin within the first refreshes.
    ShortOutageInWave,
}

/// How large the fleets are. What a fleet does depends on sessions for each credential a second alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// In every test run.
    Scaled,
    /// One million sessions. With the short ttl they need 2,667 credentials a second at the least: there it is twenty
    /// backends, each with its part of the fleet.
    Whole,
}

impl Size {
    /// Sessions, the limit of their backend, and how many such fleets there are.
    fn fleet(self, ttl: u64) -> (u32, u32, u64) {
        match (self, ttl) {
            (Self::Scaled, SHORT) => (50_000, 500, 1),
            (Self::Scaled, _) => (100_000, 50, 1),
            (Self::Whole, SHORT) => (50_000, 500, 20),
            (Self::Whole, _) => (1_000_000, 500, 1),
        }
    }
}

/// A fleet and what became of it.
pub struct Run {
    pub question: Question,
    /// One of the fleets, if there are several.
    pub scenario: Scenario,
    pub copies: u64,
    pub record: Record,
}

impl Run {
    /// Whether it shows the steady state of its ttl.
    pub fn shows_steady(&self) -> bool {
        let question = if self.scenario.ttl == SHORT {
            Question::LongOutage
        } else {
            Question::ShortOutages
        };
        self.question == question && self.scenario.advice.is_none()
    }

    /// Credentials a second over all copies.
    pub fn limit(&self) -> f64 {
        f64::from(self.scenario.limit) * self.copies as f64
    }
}

/// When the first refreshes of a fleet opened within a minute begin and end, in seconds.
pub fn wave(policy: Policy, ttl: u64) -> Range<u64> {
    match policy {
        Policy::TurnWasm => ttl - 2 * margin(ttl)..ttl - margin(ttl) + MINUTE,
        _ => policy.period(ttl)..policy.period(ttl) + MINUTE,
    }
}

/// The steady state that is looked at, in seconds.
pub fn steady(scenario: &Scenario) -> Range<u64> {
    match scenario.opening {
        // After some ten refreshes a short ttl has forgotten the first minute.
        Opening::Together => HOUR..HOUR + HOUR / 2,
        Opening::Apart => scenario.opens_within()..2 * scenario.opens_within(),
    }
}

fn scenarios(size: Size) -> Vec<(Question, Scenario, u64)> {
    let mut scenarios = Vec::new();
    for ttl in TTLS {
        let (sessions, limit, copies) = size.fleet(ttl);
        for policy in Policy::ALL {
            let basis = Scenario {
                policy,
                ttl,
                sessions,
                limit,
                opening: Opening::Together,
                outages: Vec::new(),
                advice: None,
                until: 0,
                seed: 1,
            };
            let wave = wave(policy, ttl);
            let middle = (wave.start + wave.end) / 2;
            let mut add = |question, scenario: Scenario, copies| {
                let advised = scenario.advised();
                scenarios.push((question, scenario, copies));
                scenarios.extend(advised.map(|scenario| (question, scenario, 1)));
            };
            if ttl == SHORT {
                let begins = steady(&basis).end;
                let outage = begins..begins + LONG_OUTAGE;
                // All are served again by then.
                let until = outage.end
                    + match policy {
                        Policy::Polling => LONG_OUTAGE,
                        _ => 10 * MINUTE,
                    };
                add(Question::LongOutage, basis.with(outage, until), copies);
            } else {
                let begins = middle - LONG_OUTAGE / 2;
                add(
                    Question::Wave,
                    Scenario {
                        until: wave.end + HOUR,
                        ..basis.clone()
                    },
                    copies,
                );
                // Long enough for the slowest policy to recover.
                add(
                    Question::LongOutage,
                    basis.with(begins..begins + LONG_OUTAGE, begins + 8 * HOUR),
                    copies,
                );
            }

            let opening = if ttl == SHORT {
                Opening::Together
            } else {
                Opening::Apart
            };
            let mut short = Scenario {
                opening,
                ..basis.clone()
            };
            let mut at = steady(&short).end;
            for hundredths in SHORT_OUTAGES {
                let length = margin(ttl) * hundredths / 100;
                short.outages.push(at..at + length);
                at += length + 2 * margin(ttl) + 10 * MINUTE;
            }
            short.until = at;
            add(Question::ShortOutages, short, 1);

            if ttl == DAY && policy == Policy::TurnWasm {
                // A million that wait for an hour try a hundred million times: a part of them here at all sizes.
                let (sessions, limit) = (50_000, 25);
                for after in IN_WAVE {
                    let begins = wave.start + after;
                    let outage = begins..begins + margin(ttl) * 98 / 100;
                    let scenario = Scenario {
                        sessions,
                        limit,
                        ..basis.with(outage, begins + 4 * HOUR)
                    };
                    add(Question::ShortOutageInWave, scenario, 1);
                }
            }
        }
    }
    scenarios
}

impl Scenario {
    fn with(&self, outage: Range<u64>, until: u64) -> Self {
        Self {
            outages: vec![outage],
            until,
            ..self.clone()
        }
    }

    /// The same for sessions of `src/core` that opened together, of a backend that says in an outage when to come again: in half as
    /// many seconds more as it takes to serve them all. Where it gives few a second, chance alone makes seconds in which more ask.
    fn advised(&self) -> Option<Self> {
        let is_asked = self.policy == Policy::TurnWasm
            && self.opening == Opening::Together
            && !self.outages.is_empty()
            && self.limit >= 500;
        is_asked.then(|| Self {
            advice: Some(u64::from(self.sessions / self.limit) * 3 / 2),
            ..self.clone()
        })
    }

    fn run(&self) -> Record {
        match self.policy {
            Policy::TurnWasm => sessions::run(self, false),
            _ => fixed::run(self),
        }
    }
}

/// Runs all fleets on all cores, each on one.
pub fn run(size: Size) -> Vec<Run> {
    let scenarios = scenarios(size);
    let mut jobs: Vec<(usize, Scenario)> = Vec::new();
    for (place, (_, scenario, copies)) in scenarios.iter().enumerate() {
        jobs.extend((0..*copies).map(|copy| {
            (
                place,
                Scenario {
                    seed: copy + 1,
                    ..scenario.clone()
                },
            )
        }));
    }
    // The longest first, so that no core waits long for another at the end.
    jobs.sort_by_key(|(_, scenario)| {
        (
            scenario.policy != Policy::TurnWasm,
            std::cmp::Reverse(scenario.sessions),
        )
    });

    let next = AtomicUsize::new(0);
    let records: Mutex<Vec<Option<Record>>> = Mutex::new(vec![None; scenarios.len()]);
    let work = || {
        while let Some((place, scenario)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let record = scenario.run();
            let mut records = records
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            match records.get_mut(*place) {
                Some(Some(sum)) => sum.add(&record),
                Some(empty) => *empty = Some(record),
                None => {}
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });

    let records = records
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let runs = scenarios.into_iter().zip(records);
    runs.filter_map(|((question, scenario, copies), record)| {
        Some(Run {
            question,
            scenario,
            copies,
            record: record?,
        })
    })
    .collect()
}
