//! Rate limits: token buckets, one for each session or address. A bucket at rest says nothing and is dropped, so that
//! what is kept grows with the requests of the last moments and not with everybody who ever came.

use std::collections::HashMap;
use std::hash::Hash;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often buckets at rest are dropped.
const CLEANING: Duration = Duration::from_secs(10);

/// Buckets at a time; whoever comes when there are as many shares one with all others who do.
const MAX_BUCKETS: usize = 65_536;

/// So many requests at once, and so many a second from then on. On the command line `BURST/PER_SECOND`, or `off`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    pub burst: f64,
    pub per_second: f64,
}

impl Limit {
    pub const OFF: Self = Self {
        burst: f64::INFINITY,
        per_second: f64::INFINITY,
    };
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::OFF);
        }
        let numbers = text.split_once('/').and_then(|(burst, per_second)| {
            Some((burst.parse::<u32>().ok()?, per_second.parse().ok()?))
        });
        match numbers {
            Some((burst, per_second)) if burst >= 1 && (0.01..=1e9).contains(&per_second) => {
                Ok(Self {
                    burst: f64::from(burst),
                    per_second,
                })
            }
            _ => Err(
                "expected BURST/PER_SECOND, such as 60/5 for sixty requests at once and five a second from then on, or off"
                    .to_owned(),
            ),
        }
    }
}

/// What is left of a limit.
#[derive(Debug)]
pub struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    pub fn new(limit: Limit, now: Instant) -> Self {
        Self {
            tokens: limit.burst,
            filled: now,
        }
    }

    fn fill(&mut self, limit: Limit, now: Instant) {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + passed * limit.per_second).min(limit.burst);
        self.filled = now;
    }

    pub fn has(&mut self, limit: Limit, tokens: f64, now: Instant) -> bool {
        self.fill(limit, now);
        self.tokens >= tokens
    }

    /// `Err` holds the seconds until there are so many, at least one, the smallest that `Retry-After` can say.
    pub fn take(&mut self, limit: Limit, tokens: f64, now: Instant) -> Result<(), u64> {
        if self.has(limit, tokens, now) {
            self.tokens -= tokens;
            return Ok(());
        }
        let wait = Duration::try_from_secs_f64((tokens - self.tokens) / limit.per_second);
        let wait = wait.unwrap_or(CLEANING);
        Err((wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1))
    }
}

#[derive(Debug)]
pub struct Buckets<K> {
    limit: Limit,
    kept: Mutex<Kept<K>>,
}

#[derive(Debug)]
struct Kept<K> {
    buckets: HashMap<K, Bucket>,
    shared: Bucket,
    cleaned: Instant,
}

impl<K: Eq + Hash> Buckets<K> {
    pub fn new(limit: Limit, now: Instant) -> Self {
        Self {
            limit,
            kept: Mutex::new(Kept {
                buckets: HashMap::new(),
                shared: Bucket::new(limit, now),
                cleaned: now,
            }),
        }
    }

    /// Counts a request; `Err` holds the seconds until the next one is welcome.
    pub fn admit(&self, key: K, now: Instant) -> Result<(), u64> {
        if self.limit == Limit::OFF {
            return Ok(());
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clean(self.limit, now);
        let Kept {
            buckets, shared, ..
        } = &mut *kept;
        let bucket = if buckets.len() >= MAX_BUCKETS && !buckets.contains_key(&key) {
            shared
        } else {
            buckets
                .entry(key)
                .or_insert_with(|| Bucket::new(self.limit, now))
        };
        bucket.take(self.limit, 1.0, now)
    }
}

impl<K: Eq + Hash> Kept<K> {
    fn clean(&mut self, limit: Limit, now: Instant) {
        if now.saturating_duration_since(self.cleaned) < CLEANING {
            return;
        }
        self.cleaned = now;
        self.buckets.retain(|_, bucket| {
            bucket.fill(limit, now);
            bucket.tokens < limit.burst
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(text: &str) -> Limit {
        text.parse().unwrap()
    }

    #[test]
    fn a_limit_is_a_burst_and_a_rate_or_off() {
        assert_eq!(
            limit("60/5"),
            Limit {
                burst: 60.0,
                per_second: 5.0
            }
        );
        assert_eq!(limit("1/0.5").per_second, 0.5);
        assert_eq!(limit("off"), Limit::OFF);
        for wrong in [
            "", "60", "0/5", "-1/5", "60/0", "60/-1", "60/NaN", "60/inf", "on", "60/5/1",
        ] {
            assert!(wrong.parse::<Limit>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn sixty_requests_at_once_are_admitted_and_then_five_a_second() {
        let start = Instant::now();
        let buckets = Buckets::new(limit("60/5"), start);
        let admitted = |after: u64, tries: usize| {
            let now = start + Duration::from_millis(after);
            (0..tries)
                .filter(|_| buckets.admit("a", now).is_ok())
                .count()
        };
        assert_eq!(admitted(0, 100), 60);
        assert_eq!(admitted(1000, 100), 5);
        assert_eq!(admitted(60_000, 100), 60);
    }

    #[test]
    fn the_wait_is_as_long_as_the_next_token_takes_in_whole_seconds() {
        let start = Instant::now();
        for (text, seconds) in [("1/5", 1), ("1/1", 1), ("1/0.1", 10), ("1/0.4", 3)] {
            let buckets = Buckets::new(limit(text), start);
            assert_eq!(buckets.admit((), start), Ok(()));
            assert_eq!(buckets.admit((), start), Err(seconds), "{text}");
            let after = start + Duration::from_secs(seconds);
            assert_eq!(buckets.admit((), after), Ok(()), "{text}");
        }
    }

    #[test]
    fn one_key_does_not_use_up_anothers() {
        let start = Instant::now();
        let buckets = Buckets::new(limit("1/1"), start);
        assert_eq!(buckets.admit("a", start), Ok(()));
        assert_eq!(buckets.admit("b", start), Ok(()));
        assert_eq!(buckets.admit("a", start), Err(1));
    }

    #[test]
    fn a_bucket_at_rest_is_dropped() {
        let start = Instant::now();
        let buckets = Buckets::new(limit("60/5"), start);
        buckets.admit("old", start).unwrap();
        buckets.admit("new", start + CLEANING).unwrap();
        assert_eq!(buckets.kept.lock().unwrap().buckets.len(), 1);
    }

    #[test]
    fn the_number_of_buckets_is_bounded_and_the_rest_share_one() {
        let start = Instant::now();
        let buckets = Buckets::new(limit("1/1"), start);
        for key in 0..MAX_BUCKETS {
            buckets.admit(key, start).unwrap();
        }
        assert_eq!(buckets.admit(MAX_BUCKETS, start), Ok(()));
        assert_eq!(buckets.admit(MAX_BUCKETS + 1, start), Err(1));
        assert_eq!(buckets.admit(0, start), Err(1));
        assert_eq!(buckets.kept.lock().unwrap().buckets.len(), MAX_BUCKETS);
    }
}
