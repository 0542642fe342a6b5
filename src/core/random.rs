//! A small random source with a seed, so that schedules differ between clients and repeat in tests. Not for secrets.

/// SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Any seed will do.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `0..=most`, which is below 2^32.
    pub fn up_to(&mut self, most: u64) -> u64 {
        // The high word of the product: unbiased enough for times, and without a division.
        (self.next() >> 32).wrapping_mul(most + 1) >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fill_the_range_and_stay_in_it() {
        let mut random = Random::new(7);
        let drawn: Vec<u64> = (0..10_000).map(|_| random.up_to(9)).collect();
        for value in 0..=9 {
            let count = drawn.iter().filter(|d| **d == value).count();
            assert!((800..1_200).contains(&count), "{value} came {count} times");
        }
        assert_eq!(drawn.iter().max(), Some(&9));
        assert_eq!(random.up_to(0), 0);
    }

    #[test]
    fn the_same_seed_repeats_and_another_differs() {
        let draw = |seed| {
            let mut r = Random::new(seed);
            (0..8).map(|_| r.up_to(1 << 31)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
