//! Time that neither sleep nor a changed clock can turn back.
//!
//! The wall clock jumps when it is set; the monotonic clock (`performance.now()`) stands still during a system sleep
//! on most platforms. The clock that is further ahead counts, so a sleep ages a credential, and one that falls behind
//! goes on from there, so a clock set back does not rejuvenate it.

/// A clock that is behind by more than this, in milliseconds, was set back or slept. Less is rounding: browsers round
/// each clock by up to 100 ms, and taking the larger step each time would make time run up to twice as fast.
const ROUNDING_MS: f64 = 250.0;
/// No two readings lie further apart than this, in milliseconds: the range of a JavaScript date.
const STEP_MOST_MS: f64 = 8.64e15;

/// A reading of both clocks, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Now {
    /// Milliseconds since the epoch (`Date.now()`).
    pub wall: f64,
    /// Milliseconds since any fixed moment (`performance.now()`).
    pub monotonic: f64,
}

/// Milliseconds since the session began. Never goes back.
pub type Instant = u64;

/// The instant that never comes. What is added to it may be any span.
pub const NEVER: Instant = 1 << 62;

/// The session's own time.
#[derive(Clone, Debug)]
pub struct Clock {
    last: Now,
    /// What each clock counted.
    wall: f64,
    monotonic: f64,
    elapsed: f64,
    /// What the wall clock showed at instant 0. Follows it only where it was set, not its rounding: a deadline that
    /// is shown stays where it is.
    origin: f64,
}

impl Clock {
    /// Starts at instant 0.
    pub fn new(now: Now) -> Self {
        Self {
            last: now,
            wall: 0.0,
            monotonic: 0.0,
            elapsed: 0.0,
            origin: now.wall,
        }
    }

    /// Moves on to `now` and tells the session's time there.
    pub fn advance(&mut self, now: Now) -> Instant {
        let last = core::mem::replace(&mut self.last, now);
        for (clock, step) in [
            (&mut self.wall, now.wall - last.wall),
            (&mut self.monotonic, now.monotonic - last.monotonic),
        ] {
            // A NaN or an infinity from a broken clock counts as no time passed.
            if step.abs() <= STEP_MOST_MS {
                *clock += step;
            }
            self.elapsed = self.elapsed.max(*clock);
        }
        for clock in [&mut self.wall, &mut self.monotonic] {
            if *clock < self.elapsed - ROUNDING_MS {
                *clock = self.elapsed;
            }
        }
        let origin = now.wall - self.elapsed;
        if (origin - self.origin).abs() > ROUNDING_MS {
            self.origin = origin;
        }
        self.instant()
    }

    /// The session's time at the last reading.
    pub fn instant(&self) -> Instant {
        self.elapsed as Instant
    }

    /// What the wall clock will show at `instant`, in milliseconds since the epoch, going by its last reading.
    pub fn wall_at(&self, instant: Instant) -> f64 {
        self.origin + instant as f64
    }

    /// Milliseconds from the last reading until the wall clock shows `wall`; negative if that is past.
    pub fn until_wall(&self, wall: f64) -> f64 {
        wall - self.last.wall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall: f64, monotonic: f64) -> Now {
        Now { wall, monotonic }
    }

    #[test]
    fn a_sleep_that_only_the_wall_clock_sees_ages() {
        let mut clock = Clock::new(at(1_000.0, 0.0));
        assert_eq!(clock.advance(at(3_601_000.0, 5.0)), 3_600_000);
    }

    #[test]
    fn a_wall_clock_set_back_does_not_rejuvenate() {
        let mut clock = Clock::new(at(1e12, 0.0));
        assert_eq!(clock.advance(at(1e12 - 1e10, 500.0)), 500);
        assert_eq!(clock.advance(at(1e12 - 1e10 + 100.0, 600.0)), 600);
    }

    #[test]
    fn reading_two_coarse_clocks_often_does_not_make_time_run_faster() {
        let coarse = |ms: f64| (ms / 100.0).floor() * 100.0;
        let mut clock = Clock::new(at(0.0, 0.0));
        for ms in 0..100_000 {
            clock.advance(at(coarse(f64::from(ms) + 50.0), coarse(f64::from(ms))));
        }
        assert!(
            (99_900..=100_100).contains(&clock.instant()),
            "{}",
            clock.instant()
        );
    }

    #[test]
    fn a_clock_that_is_a_quarter_of_a_second_behind_was_rounded_one_further_behind_stood_still() {
        for (behind, then) in [(250.0, 250), (251.0, 351)] {
            let mut clock = Clock::new(at(1_000.0, 0.0));
            clock.advance(at(1_000.0 + behind, 0.0));
            assert_eq!(clock.advance(at(1_000.0 + behind, 100.0)), then);
        }
    }

    #[test]
    fn a_deadline_that_is_shown_stays_where_it_is_unless_the_wall_clock_was_set() {
        for (behind, shown) in [(250.0, 61_000.0), (251.0, 60_749.0)] {
            let mut clock = Clock::new(at(1_000.0, 0.0));
            clock.advance(at(1_000.0, behind));
            assert_eq!(clock.wall_at(60_000), shown);
        }
    }

    #[test]
    fn small_sleeps_add_up() {
        let mut clock = Clock::new(at(0.0, 0.0));
        for sleep in 1..=1_000 {
            clock.advance(at(f64::from(sleep) * 101.0, f64::from(sleep)));
        }
        assert_eq!(clock.instant(), 101_000);
        clock.advance(at(-1e12, 1_100.0));
        assert!((101_000..=101_100).contains(&clock.instant()));
        assert!(clock.advance(at(-1e12 + 500.0, 1_600.0)) >= 101_500);
    }

    #[test]
    fn broken_readings_count_as_no_time() {
        let mut clock = Clock::new(at(0.0, 0.0));
        clock.advance(at(f64::NAN, f64::NAN));
        assert_eq!(clock.instant(), 0);
        clock.advance(at(10.0, -5.0));
        assert_eq!(clock.advance(at(20.0, -4.0)), 10);
        clock.advance(at(f64::INFINITY, 1e300));
        clock.advance(at(20.0, -4.0));
        assert_eq!(clock.instant(), 10);
    }

    #[test]
    fn deadlines_translate_to_the_wall_clock_and_back() {
        let mut clock = Clock::new(at(1_000.0, 0.0));
        clock.advance(at(1_250.0, 250.0));
        assert_eq!(clock.wall_at(1_250), 2_250.0);
        assert_eq!(clock.until_wall(1_000.0), -250.0);
    }
}
