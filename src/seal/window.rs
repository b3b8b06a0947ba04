//! Which counters of a run have been there.

/// How far behind the highest counter one may come.
pub(super) const WIDTH: u64 = 4096;
const WORDS: usize = 64;

/// The highest counter that came, and which of those before it did, a bit each.
#[derive(Debug)]
pub(super) struct Window {
    highest: u64,
    bits: Box<[u64; WORDS]>,
}

impl Window {
    /// A window in which this counter and all before it have been.
    pub(super) fn new(counter: u64) -> Self {
        Self {
            highest: counter,
            bits: Box::new([u64::MAX; WORDS]),
        }
    }

    /// Whether this one has been there, or is so old that nobody knows.
    pub(super) fn has(&self, counter: u64) -> bool {
        if counter > self.highest {
            return false;
        }
        let (word, bit) = place(counter);
        let word = self.bits.get(word).copied().unwrap_or(u64::MAX);
        self.highest - counter >= WIDTH || word & bit != 0
    }

    /// This one is there now.
    pub(super) fn mark(&mut self, counter: u64) {
        if counter > self.highest {
            let between = (self.highest + 1..=counter).take(usize::try_from(WIDTH).unwrap_or(0));
            for passed in between {
                let (word, bit) = place(passed);
                if let Some(word) = self.bits.get_mut(word) {
                    *word &= !bit;
                }
            }
            self.highest = counter;
        }
        let (word, bit) = place(counter);
        if let Some(word) = self.bits.get_mut(word) {
            *word |= bit;
        }
    }
}

/// The word of a counter, and its bit there.
fn place(counter: u64) -> (usize, u64) {
    let index = counter % WIDTH;
    (usize::try_from(index / 64).unwrap_or(0), 1 << (index % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_before_the_first_counts_as_there() {
        let window = Window::new(10);
        assert!((0..=10).all(|counter| window.has(counter)));
        assert!(!window.has(11));
    }

    #[test]
    fn the_last_counter_of_all_ends_nothing() {
        let mut window = Window::new(0);
        window.mark(u64::MAX);
        assert!(window.has(u64::MAX) && window.has(u64::MAX - WIDTH));
        assert!(!window.has(u64::MAX - 1) && !window.has(u64::MAX - WIDTH + 1));
    }

    proptest! {
        #[test]
        fn each_counter_is_taken_once_and_none_that_is_too_old(
            counters in prop::collection::vec(
                prop_oneof![0_u64..200, 4_000_u64..4_300, 8_000_u64..8_200, 20_000_u64..20_100],
                0..400,
            ),
        ) {
            let mut window = Window::new(0);
            let mut there = BTreeSet::from([0]);
            for counter in counters {
                let highest = *there.last().unwrap();
                let expected = there.contains(&counter) || counter + WIDTH <= highest;
                prop_assert_eq!(window.has(counter), expected, "{}", counter);
                if !expected {
                    window.mark(counter);
                    there.insert(counter);
                }
            }
        }
    }
}
