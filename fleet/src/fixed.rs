//! The two fixed policies that apps write by hand, second by second.
//!
//! A million clients that ask every second are too many to move one by one: those that failed wait in one list, all of
//! it asks in each second, and the backend gives to as many as it can, chosen at random.

use turn_wasm::core::random::Random;

use crate::backend::Verdict;
use crate::calendar::Calendar;
use crate::record::Record;
use crate::scenario::{MINUTE, Policy, Scenario};

/// An answer takes this long, in milliseconds.
const ANSWER_MS: u64 = 150;
const POLL_MS: u64 = 10 * MINUTE * 1000;

#[derive(Clone, Copy, Default)]
struct Client {
    /// When it asks next, or asked last.
    at_ms: u64,
    /// When its credential's life ends; 0 before the first.
    expires_ms: u64,
    late: bool,
    lapsed: bool,
}

pub fn run(scenario: &Scenario) -> Record {
    let mut record = Record::new(scenario);
    let mut random = Random::new(scenario.seed);
    let polls = scenario.policy == Policy::Polling;
    let ttl_ms = scenario.ttl * 1000;
    let period_ms = scenario.policy.period(scenario.ttl) * 1000;
    let mut calendar = Calendar::new(scenario.until * 1000, 1000);
    let mut clients = vec![Client::default(); scenario.sessions as usize];
    for id in 0..scenario.sessions {
        calendar.add(id, random.up_to(scenario.opens_within() * 1000 - 1));
    }

    // Those that ask for the first time in a while, and those that ask in every second until they are served.
    let mut asking: Vec<u32> = Vec::new();
    let mut retrying: Vec<u32> = Vec::new();
    for second in 0..scenario.until {
        while let Some((at_ms, id)) = calendar.next((second + 1) * 1000) {
            if let Some(client) = clients.get_mut(id as usize) {
                client.at_ms = at_ms;
                if client.expires_ms == 0 {
                    // The first credential is not counted.
                    client.expires_ms = at_ms + ttl_ms;
                    calendar.add(id, at_ms + period_ms);
                } else {
                    asking.push(id);
                }
            }
        }

        let down = scenario.is_down(second);
        let requests = asking.len() + retrying.len();
        let given = if down {
            0
        } else {
            requests.min(scenario.limit as usize)
        };
        let refusal = if down {
            Verdict::Down
        } else {
            Verdict::TooMany
        };
        record.answered(second, Verdict::Issued, given as u32);
        record.answered(second, refusal, (requests - given) as u32);
        for _ in 0..given {
            let chosen = random.up_to((asking.len() + retrying.len()) as u64 - 1) as usize;
            let id = match chosen.checked_sub(asking.len()) {
                None => asking.swap_remove(chosen),
                Some(chosen) => retrying.swap_remove(chosen),
            };
            if let Some(client) = clients.get_mut(id as usize) {
                client.at_ms = second * 1000 + client.at_ms % 1000;
                client.account(&mut record, client.at_ms + ANSWER_MS);
                if std::mem::take(&mut client.late) {
                    record.late(second, false);
                }
                client.expires_ms = client.at_ms + ttl_ms;
                calendar.add(id, client.at_ms + period_ms);
            }
        }
        for id in asking.drain(..) {
            if let Some(client) = clients.get_mut(id as usize) {
                if !std::mem::replace(&mut client.late, true) {
                    record.late(second, true);
                }
                if polls {
                    calendar.add(id, client.at_ms + POLL_MS);
                } else {
                    retrying.push(id);
                }
            }
        }
    }
    for client in &mut clients {
        client.account(&mut record, scenario.until * 1000);
    }
    record
}

impl Client {
    /// It was without a live credential until now, if its life ended before.
    fn account(&mut self, record: &mut Record, now_ms: u64) {
        if now_ms > self.expires_ms {
            record.dark(self.expires_ms, now_ms, !self.lapsed);
            self.lapsed = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{HOUR, Opening};

    fn scenario(policy: Policy) -> Scenario {
        Scenario {
            policy,
            ttl: 3_600,
            sessions: 600,
            limit: 100,
            opening: Opening::Together,
            outages: Vec::new(),
            advice: None,
            until: 3 * HOUR,
            seed: 7,
        }
    }

    #[test]
    fn each_policy_asks_at_its_own_moment() {
        for (policy, first) in [
            (Policy::MinuteBefore, HOUR - MINUTE),
            (Policy::Polling, HOUR - 10 * MINUTE),
        ] {
            let record = run(&scenario(policy));
            assert_eq!(record.peak(&(0..first)), 0, "{policy:?}");
            let mean = record.mean(&(first..first + MINUTE));
            assert_eq!(mean, 10.0, "{policy:?}");
            assert_eq!(record.lapsed, 0, "{policy:?}");
        }
    }

    #[test]
    fn in_an_outage_one_asks_every_second_and_the_other_every_ten_minutes() {
        let outage = 50 * MINUTE..70 * MINUTE;
        let during = |policy| {
            let scenario = Scenario {
                outages: vec![outage.clone()],
                ..scenario(policy)
            };
            let record = run(&scenario);
            assert_eq!(record.lapsed, 600);
            assert_eq!(record.refused(&outage), 0.0);
            record.mean(&outage) * (20 * MINUTE) as f64
        };
        // Ten minutes and a half on average in which 600 sessions ask every second; twice for each.
        let seconds = during(Policy::MinuteBefore) / 600.0;
        assert!((620.0..=640.0).contains(&seconds), "{seconds}");
        assert_eq!(during(Policy::Polling), 1_200.0);
    }

    #[test]
    fn over_the_limit_the_rest_tries_again() {
        let tight = Scenario {
            limit: 5,
            ..scenario(Policy::MinuteBefore)
        };
        let record = run(&tight);
        let wave = HOUR - MINUTE..HOUR + 2 * MINUTE;
        assert!(record.refused(&wave) > 0.5);
        // The second half of them comes within the minute after, the last in its last second.
        assert_eq!(record.recovered_after(wave.start + MINUTE), Some(59));
    }
}
