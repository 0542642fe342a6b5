//! What a fleet goes through: how many sessions, how they open, what the backend can give, and when it is down.

use std::ops::Range;

pub const MINUTE: u64 = 60;
pub const HOUR: u64 = 60 * MINUTE;

/// How the sessions open. Their first credentials are not counted against the backend's limit: a million within a
/// minute cannot be served at 500 a second, and what matters here is how long that first minute echoes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// All within the first minute.
    Together,
    /// At random over one mean time between two refreshes: a fleet as it is on any ordinary day.
    Apart,
}

/// Who decides when to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The session of `src/core`, as the browser drives it.
    TurnWasm,
    /// A refresh one minute before the end, and again every second until it comes.
    MinuteBefore,
    /// A look every ten minutes, and a refresh if ten minutes or less are left.
    Polling,
}

impl Policy {
    pub const ALL: [Self; 3] = [Self::TurnWasm, Self::MinuteBefore, Self::Polling];

    pub fn name(self) -> &'static str {
        match self {
            Self::TurnWasm => "turn-wasm",
            Self::MinuteBefore => "ttl − 60 s, retry each second",
            Self::Polling => "poll every 10 min",
        }
    }

    /// Seconds between two refreshes when nothing fails, in the mean.
    pub fn period(self, ttl: u64) -> u64 {
        match self {
            Self::TurnWasm => ttl - 3 * margin(ttl) / 2,
            Self::MinuteBefore => ttl - MINUTE,
            // The first look with at most ten minutes left.
            Self::Polling => (ttl - 10 * MINUTE).div_ceil(10 * MINUTE).max(1) * 10 * MINUTE,
        }
    }
}

/// The time before the end that a session of turn-wasm keeps for retries, in seconds.
pub fn margin(ttl: u64) -> u64 {
    (ttl / 4).min(HOUR)
}

/// All times in seconds since the first session opened.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub policy: Policy,
    pub ttl: u64,
    pub sessions: u32,
    /// Credentials a second.
    pub limit: u32,
    pub opening: Opening,
    pub outages: Vec<Range<u64>>,
    /// What `Retry-After` says in an outage, if anything.
    pub advice: Option<u64>,
    pub until: u64,
    pub seed: u64,
}

impl Scenario {
    /// The span in which sessions open.
    pub fn opens_within(&self) -> u64 {
        match self.opening {
            Opening::Together => MINUTE,
            Opening::Apart => self.policy.period(self.ttl),
        }
    }

    pub fn is_down(&self, second: u64) -> bool {
        self.outages.iter().any(|outage| outage.contains(&second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_between_refreshes_are_those_of_the_policies() {
        let periods = |ttl| Policy::ALL.map(|policy| policy.period(ttl));
        assert_eq!(periods(600), [375, 540, 600]);
        assert_eq!(periods(86_400), [81_000, 86_340, 85_800]);
    }
}
