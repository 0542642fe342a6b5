//! What happened in a run, second by second.

use std::ops::Range;

use crate::backend::Verdict;
use crate::scenario::Scenario;

/// Refreshes only: first credentials are not counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub sessions: u32,
    /// Requests in each second.
    asked: Vec<u32>,
    /// Those of them that were over the limit.
    refused: Vec<u32>,
    /// Credentials given.
    issued: Vec<u32>,
    /// Sessions that were ever without a live credential, and how many of them first were so in each second.
    pub lapsed: u32,
    lapses: Vec<u32>,
    /// How long all of them together, in milliseconds.
    pub dark_ms: u64,
    /// How many sessions more than before wait for a refresh that failed, in each second.
    late: Vec<i32>,
}

impl Record {
    pub fn new(scenario: &Scenario) -> Self {
        let seconds = scenario.until as usize + 1;
        Self {
            sessions: scenario.sessions,
            asked: vec![0; seconds],
            refused: vec![0; seconds],
            issued: vec![0; seconds],
            lapsed: 0,
            lapses: vec![0; seconds],
            dark_ms: 0,
            late: vec![0; seconds],
        }
    }

    pub fn answered(&mut self, second: u64, verdict: Verdict, count: u32) {
        let second = second as usize;
        let counts = match verdict {
            Verdict::Issued => Some(&mut self.issued),
            Verdict::TooMany => Some(&mut self.refused),
            Verdict::Down => None,
        };
        for counts in [Some(&mut self.asked), counts].into_iter().flatten() {
            if let Some(total) = counts.get_mut(second) {
                *total += count;
            }
        }
    }

    /// A session had no live credential between two moments in milliseconds.
    pub fn dark(&mut self, from_ms: u64, to_ms: u64, for_the_first_time: bool) {
        self.dark_ms += to_ms - from_ms;
        self.lapsed += u32::from(for_the_first_time);
        if let Some(count) = self.lapses.get_mut((from_ms / 1000) as usize) {
            *count += u32::from(for_the_first_time);
        }
    }

    /// A session's refresh failed for the first time, or came after failures.
    pub fn late(&mut self, second: u64, more: bool) {
        if let Some(change) = self.late.get_mut(second as usize) {
            *change += if more { 1 } else { -1 };
        }
    }

    /// Adds the record of a fleet that ran beside this one, against a backend of its own.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.asked, &other.asked),
            (&mut self.refused, &other.refused),
            (&mut self.issued, &other.issued),
            (&mut self.lapses, &other.lapses),
        ] {
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                *mine += theirs;
            }
        }
        for (mine, theirs) in self.late.iter_mut().zip(&other.late) {
            *mine += theirs;
        }
        self.sessions += other.sessions;
        self.lapsed += other.lapsed;
        self.dark_ms += other.dark_ms;
    }

    // ---- what can be read out of it ------------------------------------------------------------------------------

    /// Requests a second in the mean.
    pub fn mean(&self, span: &Range<u64>) -> f64 {
        total(&self.asked, span) as f64 / (span.end - span.start) as f64
    }

    /// Requests in the busiest second.
    pub fn peak(&self, span: &Range<u64>) -> u32 {
        within(&self.asked, span).iter().copied().max().unwrap_or(0)
    }

    /// Requests a second in the busiest stretch of so many seconds: in a single one chance alone makes a peak.
    pub fn peak_over(&self, seconds: u64, span: &Range<u64>) -> f64 {
        let stretches = within(&self.asked, span).chunks_exact(seconds as usize);
        let totals = stretches.map(|counts| counts.iter().copied().map(u64::from).sum::<u64>());
        totals.max().unwrap_or(0) as f64 / seconds as f64
    }

    /// The share of requests that was over the limit.
    pub fn refused(&self, span: &Range<u64>) -> f64 {
        total(&self.refused, span) as f64 / total(&self.asked, span).max(1) as f64
    }

    /// Seconds from `moment` on until no session waits for a refresh that failed.
    pub fn recovered_after(&self, moment: u64) -> Option<u64> {
        let waiting = self.late.iter().scan(0, |late, change| {
            *late += change;
            Some(*late)
        });
        let mut after = waiting.skip(moment as usize);
        after
            .position(|late| late == 0)
            .map(|seconds| seconds as u64)
    }

    /// How many sessions were without a live credential before this second.
    pub fn lapsed_by(&self, second: u64) -> u32 {
        let counts = self.lapses.iter().take(second as usize);
        counts.sum()
    }

    /// Seconds without a live credential, over those sessions that were without.
    pub fn dark_each(&self) -> f64 {
        self.dark_ms as f64 / 1000.0 / f64::from(self.lapsed.max(1))
    }
}

fn within<'a>(counts: &'a [u32], span: &Range<u64>) -> &'a [u32] {
    counts
        .get(span.start as usize..span.end as usize)
        .unwrap_or_default()
}

fn total(counts: &[u32], span: &Range<u64>) -> u64 {
    within(counts, span).iter().copied().map(u64::from).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Opening, Policy};

    #[test]
    fn a_fleet_has_recovered_when_nobody_waits_and_not_when_its_run_ends() {
        let scenario = Scenario {
            policy: Policy::TurnWasm,
            ttl: 600,
            sessions: 2,
            limit: 1,
            opening: Opening::Together,
            outages: Vec::new(),
            advice: None,
            until: 10,
            seed: 1,
        };
        let mut record = Record::new(&scenario);
        assert_eq!(record.recovered_after(4), Some(0));
        record.late(3, true);
        record.late(5, true);
        record.late(6, false);
        assert_eq!(record.recovered_after(4), None);
        record.late(8, false);
        assert_eq!(record.recovered_after(4), Some(4));
        assert_eq!(record.recovered_after(2), Some(0));
    }
}
