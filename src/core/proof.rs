//! Proof that the servers in force give a relay, right before a relayed call is put at stake.
//!
//! An ICE restart that gathers from a server that is silent, or that refuses the credential, finds no relay. Firefox
//! cannot be brought back from that: the next restart, however good, ends the call, while a call that is left alone
//! goes on as soon as the server is back. So the servers are tried on a throwaway connection first.

use super::clock::{Instant, NEVER};
use super::retry;

/// A relay that was seen stands for one this long, in milliseconds.
const VALID_MS: u64 = 3_000;
/// A try that was not answered by now is not waited for any more, in milliseconds. The browser layer gives up sooner.
const ANSWER_MS: u64 = 15_000;
/// An answer that took longer than this, in milliseconds, came from a server that was silent before.
const SLOW_MS: u64 = 1_000;
/// The steps of backoff that the waits between failing tries go through: 8 s at most, so that a server that is back is
/// noticed before Firefox gives a silent call up.
const STEPS: u32 = 4;

/// What is known about the servers in force.
#[derive(Clone, Debug)]
pub struct Proof {
    valid_until: Instant,
    /// A connection cannot go on without it.
    wanted: bool,
    failures: u32,
    /// The next try comes no sooner.
    from: Instant,
    /// When the last one began, or [`NEVER`].
    asked: Instant,
    /// When the first relay came after none.
    restored: Instant,
}

impl Proof {
    /// Nothing is known.
    pub const NONE: Self = Self {
        valid_until: 0,
        wanted: false,
        failures: 0,
        from: 0,
        asked: NEVER,
        restored: 0,
    };

    /// Other servers are in force.
    pub fn renew(&mut self, now: Instant) {
        self.valid_until = now;
        self.from = now;
    }

    /// Whether a relay was seen just now. If not, it is from now on wanted.
    pub fn holds(&mut self, now: Instant) -> bool {
        let holds = now < self.valid_until;
        self.wanted |= !holds;
        holds
    }

    /// Whether something waits for a relay.
    pub fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// What waited for a relay waits from this moment on: both ends of a call may have waited for the same one.
    pub fn restored(&self) -> Instant {
        self.restored
    }

    /// Whether to try now; until when to wait if something is wanted, else [`NEVER`].
    pub fn due(&mut self, now: Instant) -> (bool, Instant) {
        if !core::mem::take(&mut self.wanted) {
            return (false, NEVER);
        }
        let due = now >= self.from;
        if due {
            self.asked = now;
            self.from = now + ANSWER_MS;
        }
        (due, self.from)
    }

    /// A try was answered: by a relay, or not.
    pub fn answered(&mut self, relay: bool, now: Instant) {
        if relay {
            if self.failures > 0 || now > self.asked + SLOW_MS {
                self.restored = now;
            }
            self.valid_until = now + VALID_MS;
            self.failures = 0;
            self.from = now;
        } else {
            self.failures = (self.failures + 1).min(STEPS);
            self.from = now + retry::ceiling(self.failures);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_that_was_seen_counts_for_three_seconds() {
        let mut proof = Proof::NONE;
        assert!(!proof.holds(10));
        assert_eq!(proof.due(10), (true, 10 + ANSWER_MS));
        proof.answered(true, 70);
        assert!(proof.holds(70) && proof.holds(3_069));
        assert!(!proof.holds(3_070));
        assert!(proof.due(3_070).0);
    }

    #[test]
    fn nothing_is_tried_that_nobody_wants() {
        let mut proof = Proof::NONE;
        assert_eq!(proof.due(10), (false, NEVER));
        proof.answered(true, 10);
        assert!(proof.holds(20));
        assert_eq!(proof.due(20), (false, NEVER));
    }

    #[test]
    fn tries_that_fail_are_made_again_after_one_two_four_and_eight_seconds() {
        let mut proof = Proof::NONE;
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..6 {
            assert!(!proof.holds(now));
            assert!(proof.due(now).0);
            proof.answered(false, now);
            assert!(!proof.holds(now));
            let (due, from) = proof.due(now);
            assert!(!due);
            waits.push(from - now);
            now = from;
        }
        assert_eq!(waits, [1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
        proof.answered(true, now);
        proof.answered(false, now);
        assert_eq!(proof.from, now + 1_000);
    }

    #[test]
    fn the_moment_of_the_first_relay_after_none_is_kept() {
        let mut proof = Proof::NONE;
        proof.answered(true, 10);
        assert_eq!(proof.restored(), 0);
        proof.answered(false, 20);
        proof.renew(30);
        proof.answered(true, 40);
        proof.answered(true, 50);
        assert_eq!(proof.restored(), 40);
        assert!(!proof.holds(5_000));
        assert!(proof.due(5_000).0);
        proof.answered(true, 6_000);
        assert_eq!(proof.restored(), 40);
        assert!(!proof.holds(10_000));
        assert!(proof.due(10_000).0);
        proof.answered(true, 11_001);
        assert_eq!(proof.restored(), 11_001);
    }

    #[test]
    fn other_servers_are_proven_anew_and_at_once() {
        let mut proof = Proof::NONE;
        proof.answered(true, 10);
        proof.renew(20);
        assert!(!proof.holds(20));
        proof.answered(false, 30);
        proof.renew(40);
        assert!(!proof.holds(40));
        assert!(proof.due(40).0);
    }

    #[test]
    fn a_try_that_is_never_answered_is_made_again() {
        let mut proof = Proof::NONE;
        assert!(!proof.holds(0));
        assert!(proof.due(0).0);
        assert!(!proof.holds(ANSWER_MS - 1));
        assert_eq!(proof.due(ANSWER_MS - 1), (false, ANSWER_MS));
        assert!(!proof.holds(ANSWER_MS));
        assert!(proof.due(ANSWER_MS).0);
    }
}
