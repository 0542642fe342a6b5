//! The backend: so many credentials a second, and down at times.
//!
//! Over its limit it queues nothing: it answers 429 with `Retry-After: 1`, as a rate limiter in front of a provider does.
//! While it is down it answers 503 at once and without `Retry-After`, which costs clients no time before the next try: the
//! hardest case for what comes after.

/// How a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Issued,
    TooMany,
    Down,
}

/// What `Retry-After` says, in seconds.
pub const RETRY_AFTER: u64 = 1;
/// Credentials that an idle backend can give at once: those of this many milliseconds.
const BURST_MS: u64 = 100;

/// A token bucket.
pub struct Limiter {
    limit: u64,
    /// Thousandths of a credential that may be given now.
    left: u64,
    at_ms: u64,
}

impl Limiter {
    pub fn new(limit: u32) -> Self {
        let limit = u64::from(limit);
        Self {
            limit,
            left: limit * BURST_MS,
            at_ms: 0,
        }
    }

    /// Whether one more credential can be given at this moment.
    pub fn gives(&mut self, now_ms: u64) -> bool {
        self.left += now_ms.saturating_sub(self.at_ms) * self.limit;
        self.left = self.left.min((self.limit * BURST_MS).max(1_000));
        self.at_ms = self.at_ms.max(now_ms);
        let gives = self.left >= 1_000;
        self.left -= if gives { 1_000 } else { 0 };
        gives
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_what_its_limit_says_however_often_it_is_asked() {
        let mut limiter = Limiter::new(500);
        let mut given = 0;
        for now in 0..10_000 {
            given += (0..20).filter(|_| limiter.gives(now)).count();
        }
        assert!((5_000..=5_050).contains(&given), "{given}");
    }
}
