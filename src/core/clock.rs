//! Time that neither sleep nor a changed clock can turn back.
//!
//! The wall clock jumps when it is set; the monotonic clock (`performance.now()`) stands still during a system sleep
//! on most platforms. The larger of the two differences is taken at every step, so a sleep ages a credential and a
//! clock set back does not rejuvenate it.

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

/// The session's own time.
#[derive(Clone, Debug)]
pub struct Clock {
    last: Now,
    elapsed: f64,
}

impl Clock {
    /// Starts at instant 0.
    pub fn new(now: Now) -> Self {
        Self {
            last: now,
            elapsed: 0.0,
        }
    }

    /// Moves on to `now` and tells the session's time there.
    pub fn advance(&mut self, now: Now) -> Instant {
        let step = (now.wall - self.last.wall).max(now.monotonic - self.last.monotonic);
        if step > 0.0 {
            self.elapsed += step;
        }
        self.last = now;
        self.instant()
    }

    /// The session's time at the last reading.
    pub fn instant(&self) -> Instant {
        // Saturates; a NaN from a broken clock counts as no time passed.
        self.elapsed as Instant
    }

    /// What the wall clock will show at `instant`, in milliseconds since the epoch, going by its last reading.
    pub fn wall_at(&self, instant: Instant) -> f64 {
        self.last.wall + (instant as f64 - self.elapsed).round()
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
    fn broken_readings_count_as_no_time() {
        let mut clock = Clock::new(at(0.0, 0.0));
        clock.advance(at(f64::NAN, f64::NAN));
        assert_eq!(clock.instant(), 0);
        clock.advance(at(10.0, -5.0));
        assert_eq!(clock.advance(at(20.0, -4.0)), 10);
    }

    #[test]
    fn deadlines_translate_to_the_wall_clock_and_back() {
        let mut clock = Clock::new(at(1_000.0, 0.0));
        clock.advance(at(1_250.0, 250.0));
        assert_eq!(clock.wall_at(1_250), 2_250.0);
        assert_eq!(clock.until_wall(1_000.0), -250.0);
    }
}
