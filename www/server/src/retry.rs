//! When a request to the TURN provider is made again. Pure numbers: whoever asks has the clock and the dice.

use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// Tries in all, the first one included.
    pub tries: u32,
    /// Longest pause after the first try; it doubles from try to try. The pause is a random part of that (full jitter),
    /// so that many backends do not come back at the same moment.
    pub first: Duration,
    /// Longest pause of all. A provider that asks for a longer one is left alone: the page can wait, a request cannot.
    pub most: Duration,
    /// What all tries and pauses may take together.
    pub budget: Duration,
}

/// A try that cannot last this long is not worth making.
const SHORTEST_TRY: Duration = Duration::from_millis(500);

impl Retry {
    /// The pause before the next try, after `made` of them; `None` if there should be none. `dice` is from 0 to 1.
    pub fn pause(
        &self,
        made: u32,
        retry_after: Option<Duration>,
        spent: Duration,
        dice: f64,
    ) -> Option<Duration> {
        if made >= self.tries {
            return None;
        }
        let doubled = self
            .first
            .saturating_mul(1 << made.saturating_sub(1).min(16));
        let pause = doubled.min(self.most).mul_f64(dice.clamp(0.0, 1.0));
        let pause = pause.max(retry_after.unwrap_or_default());
        let fits = pause <= self.most && spent + pause + SHORTEST_TRY <= self.budget;
        fits.then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Retry = Retry {
        tries: 4,
        first: Duration::from_millis(200),
        most: Duration::from_secs(2),
        budget: Duration::from_secs(8),
    };

    fn pause(made: u32, retry_after: Option<u64>, spent: f64, dice: f64) -> Option<f64> {
        let retry_after = retry_after.map(Duration::from_secs);
        RETRY
            .pause(made, retry_after, Duration::from_secs_f64(spent), dice)
            .map(|pause| pause.as_secs_f64())
    }

    #[test]
    fn pauses_double_and_are_a_random_part_of_that() {
        assert_eq!(pause(1, None, 0.0, 1.0), Some(0.2));
        assert_eq!(pause(2, None, 0.0, 1.0), Some(0.4));
        assert_eq!(pause(3, None, 0.0, 1.0), Some(0.8));
        assert_eq!(pause(3, None, 0.0, 0.25), Some(0.2));
        assert_eq!(pause(3, None, 0.0, 0.0), Some(0.0));
    }

    #[test]
    fn there_are_four_tries_and_no_fifth() {
        assert_eq!(pause(4, None, 0.0, 0.0), None);
        assert_eq!(pause(u32::MAX, None, 0.0, 1.0), None);
    }

    #[test]
    fn what_the_provider_asks_for_is_waited_for_unless_a_request_cannot_wait_so_long() {
        assert_eq!(pause(1, Some(1), 0.0, 1.0), Some(1.0));
        assert_eq!(pause(1, Some(0), 0.0, 1.0), Some(0.2));
        assert_eq!(pause(1, Some(2), 0.0, 1.0), Some(2.0));
        assert_eq!(pause(1, Some(3), 0.0, 1.0), None);
        assert_eq!(pause(1, Some(u64::MAX), 0.0, 1.0), None);
    }

    #[test]
    fn a_try_for_which_no_time_is_left_is_not_made() {
        assert_eq!(pause(1, None, 7.3, 1.0), Some(0.2));
        assert_eq!(pause(1, None, 7.31, 1.0), None);
        assert_eq!(pause(1, Some(2), 5.6, 0.0), None);
    }
}
