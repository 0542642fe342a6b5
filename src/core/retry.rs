//! How long to wait before the next try: full-jitter exponential backoff, and what the server asked for.

use super::clock::NEVER;
use super::random::Random;

/// Nothing automatic happens twice within this many milliseconds.
pub const FLOOR_MS: u64 = 250;
/// The first backoff step's ceiling, in milliseconds.
const FIRST_MS: u64 = 1_000;
/// The last backoff step's ceiling, in milliseconds.
const LAST_MS: u64 = 60_000;
/// After this many failures in a row the ceiling has been the last one once.
pub const STEPS: u32 = 7;
/// With more life than this left, in milliseconds, a credential can wait longer than the last step.
const UNHURRIED_MS: u64 = 2 * LAST_MS;
/// The longest wait for a credential that lives, in milliseconds.
const UNHURRIED_MOST_MS: u64 = 3_600_000;
/// A try that `Retry-After` would put later than this long before the end of a live credential, in milliseconds, comes earlier: so
/// that the connections move over while their relays live.
const IN_TIME_MS: u64 = 5_000;
/// The longest `Retry-After` that is honoured once nothing is left to lose by waiting, in milliseconds.
const RETRY_AFTER_MOST_MS: u64 = 3_600_000;

/// The ceiling of the backoff after `failures` failures in a row (1 for the first): 1 s doubling to 60 s.
pub fn ceiling(failures: u32) -> u64 {
    (FIRST_MS << failures.saturating_sub(1).min(16)).min(LAST_MS)
}

/// Milliseconds until the next try after `failures` failures in a row.
///
/// Uniform in 0 to the ceiling (full jitter), or to `most` if that is less: half of what is left of the live credential, so
/// that a try comes in time while the backend is away for less than a margin, and a margin once it expired. A `Retry-After`
/// comes before that, so that clients turned away together do not return together. If it would outlast the live credential,
/// of which `life` is left, the try comes at random in the second half of that, and no later than leaves time for the answer and
/// an ICE restart: a longer wait would lose the call for certain, and the same moment for all clients whose credentials end
/// together would have most of them refused again. Without a live one `life` is [`NEVER`].
///
/// Once all steps were taken in vain, a live credential that is not urgent waits for a quarter to a half of what is left of
/// its life, an hour at the most: else all sessions whose refresh fell into a long outage would try twice a minute, and
/// the backend that comes back would meet them all in its first minute (docs/fleet.md).
///
/// [`NEVER`]: super::clock::NEVER
pub fn delay(
    failures: u32,
    retry_after: Option<u64>,
    life: u64,
    most: u64,
    random: &mut Random,
) -> u64 {
    let in_time = life - IN_TIME_MS.min(most);
    let mut least = retry_after.unwrap_or_default().min(RETRY_AFTER_MOST_MS);
    let mut spread = ceiling(failures).min(most);
    if least > in_time {
        least = most;
        spread = in_time - most;
    } else if failures > STEPS && (UNHURRIED_MS..NEVER).contains(&life) {
        spread = (life / 4).min(UNHURRIED_MOST_MS / 2);
        least += spread;
    }
    (least + random.up_to(spread)).min(in_time).max(FLOOR_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_from_one_second_to_sixty() {
        let steps: Vec<u64> = (1..=8).map(ceiling).collect();
        assert_eq!(
            steps,
            [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]
        );
        assert_eq!(ceiling(u32::MAX), 60_000);
        assert_eq!(ceiling(0), 1_000);
    }

    #[test]
    fn the_delay_is_spread_over_the_whole_step_but_never_under_the_floor() {
        let mut random = Random::new(3);
        let delays: Vec<u64> = (0..1_000)
            .map(|_| delay(3, None, NEVER, NEVER, &mut random))
            .collect();
        assert!(delays.iter().all(|d| (FLOOR_MS..=4_000).contains(d)));
        assert!(delays.iter().any(|d| *d < 500) && delays.iter().any(|d| *d > 3_500));
    }

    #[test]
    fn a_wait_is_spread_over_what_it_may_take_at_most() {
        let mut random = Random::new(3);
        let waits: Vec<u64> = (0..1_000)
            .map(|_| delay(7, None, NEVER, 5_000, &mut random))
            .collect();
        assert!(waits.iter().max().unwrap() > &4_900);
        assert!(waits.iter().all(|wait| *wait <= 5_000));
        assert_eq!(delay(7, None, NEVER, 50, &mut random), FLOOR_MS);
    }

    #[test]
    fn after_all_steps_a_long_life_is_used_up_by_quarters_to_halves() {
        let mut random = Random::new(3);
        let mut waits = |failures, life: u64| -> (u64, u64) {
            let waits: Vec<u64> = (0..1_000)
                .map(|_| delay(failures, None, life, life / 2, &mut random))
                .collect();
            (*waits.iter().min().unwrap(), *waits.iter().max().unwrap())
        };
        let (least, most) = waits(8, 1_200_000);
        assert!((300_000..303_000).contains(&least), "{least}");
        assert!((597_000..=600_000).contains(&most), "{most}");
        let (least, most) = waits(9, 172_800_000);
        assert!((1_800_000..1_820_000).contains(&least), "{least}");
        assert!((3_580_000..=3_600_000).contains(&most), "{most}");
        for (failures, life) in [(7, 1_200_000), (8, 119_999), (8, NEVER)] {
            let (least, most) = waits(failures, life);
            assert!(least < 1_000, "{failures} {life}: {least}");
            assert!(
                (57_000..=60_000).contains(&most),
                "{failures} {life}: {most}"
            );
        }
        let (least, _) = waits(8, 120_000);
        assert_eq!(least.max(30_000), least);
    }

    #[test]
    fn retry_after_is_waited_out_within_the_credentials_life() {
        let mut random = Random::new(3);
        for _ in 0..100 {
            let mut asked = |ms, life| delay(1, Some(ms), life, life / 2, &mut random);
            assert!((30_000..=31_000).contains(&asked(30_000, 100_000)));
            assert_eq!(asked(30_000, 35_000), 30_000);
            assert!((15_000..=25_000).contains(&asked(30_000, 30_000)));
            assert!((10_000..=15_000).contains(&asked(30_000, 20_000)));
            assert_eq!(asked(30_000, 10_000), 5_000);
            assert_eq!(asked(30_000, 9_998), 4_999);
            assert_eq!(asked(30_000, 600), 300);
            assert!(asked(u64::MAX, NEVER) <= RETRY_AFTER_MOST_MS + 1_000);
            assert_eq!(asked(30_000, 1), FLOOR_MS);
        }
    }

    #[test]
    fn a_retry_after_that_outlasts_the_life_does_not_bring_all_back_at_once() {
        let mut random = Random::new(3);
        let waits: Vec<u64> = (0..1_000)
            .map(|_| delay(2, Some(3_600_000), 1_800_000, 900_000, &mut random))
            .collect();
        assert!(waits.iter().all(|w| (900_000..=1_795_000).contains(w)));
        for tenth in 0..10 {
            let from = 900_000 + tenth * 89_500;
            let within = waits.iter().filter(|w| (from..from + 89_500).contains(*w));
            assert!((70..=130).contains(&within.count()), "{tenth}");
        }
    }
}
