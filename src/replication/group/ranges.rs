//! Sets of numbers as ranges, for what is missing of a log or of a table.

/// Ranges that are kept apart. Beyond that the last two become one: more is asked for than is
/// missing, and what is known already does no harm.
const MOST: usize = 512;

/// A set of numbers, as disjoint ranges in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Adds `from` to `to`, both included.
    pub(crate) fn insert(&mut self, from: u64, to: u64) {
        if from > to {
            return;
        }
        // Those that touch it become one with it.
        let begin = self
            .0
            .partition_point(|&(_, last)| last.saturating_add(1) < from);
        let end = self
            .0
            .partition_point(|&(first, _)| first <= to.saturating_add(1));
        let (mut first, mut last) = (from, to);
        for &(low, high) in self.0.get(begin..end).unwrap_or_default() {
            first = first.min(low);
            last = last.max(high);
        }
        self.0.splice(begin..end.max(begin), [(first, last)]);
        self.merge_last();
    }

    /// Takes `from` to `to` out, both included; says whether any of it was there.
    pub(crate) fn remove(&mut self, from: u64, to: u64) -> bool {
        let begin = self.0.partition_point(|&(_, last)| last < from);
        let end = self.0.partition_point(|&(first, _)| first <= to);
        if from > to || begin >= end {
            return false;
        }
        let before = self.0.get(begin).filter(|range| range.0 < from);
        let before = before.map(|range| (range.0, from - 1));
        let after = self.0.get(end - 1).filter(|range| range.1 > to);
        let after = after.map(|range| (to + 1, range.1));
        self.0.splice(begin..end, before.into_iter().chain(after));
        self.merge_last();
        true
    }

    fn merge_last(&mut self) {
        if self.0.len() > MOST
            && let (Some((_, last)), Some(previous)) = (self.0.pop(), self.0.last_mut())
        {
            previous.1 = last;
        }
    }

    /// Whether any of `from` to `to` is in it, both included.
    pub(crate) fn has_any(&self, from: u64, to: u64) -> bool {
        let begin = self.0.partition_point(|&(_, last)| last < from);
        self.0.get(begin).is_some_and(|&(first, _)| first <= to)
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lowest number.
    pub(crate) fn first(&self) -> Option<u64> {
        self.0.first().map(|range| range.0)
    }

    /// How many numbers are in it.
    pub(crate) fn len(&self) -> u64 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// The ranges, in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_what_a_set_of_numbers_is(
            steps in prop::collection::vec((any::<bool>(), 0_u64..60, 0_u64..12), 0..80)
        ) {
            let (mut ranges, mut numbers) = (Ranges::default(), BTreeSet::new());
            for (adds, from, length) in steps {
                let to = from + length;
                if adds {
                    ranges.insert(from, to);
                    numbers.extend(from..=to);
                } else {
                    let any = (from..=to).any(|number| numbers.contains(&number));
                    prop_assert_eq!(ranges.remove(from, to), any);
                    numbers.retain(|number| !(from..=to).contains(number));
                }
                let listed: Vec<u64> = ranges.iter().flat_map(|(a, b)| a..=b).collect();
                prop_assert_eq!(&listed, &numbers.iter().copied().collect::<Vec<_>>());
                prop_assert_eq!(ranges.len(), numbers.len() as u64);
                prop_assert_eq!(ranges.first(), numbers.first().copied());
                let apart = ranges.0.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0);
                prop_assert!(apart, "{:?}", ranges);
            }
        }
    }

    #[test]
    fn too_many_ranges_become_fewer_and_lose_nothing() {
        let mut ranges = Ranges::default();
        for number in 0..2000 {
            ranges.insert(number * 2, number * 2);
        }
        assert_eq!(ranges.0.len(), MOST);
        assert_eq!(ranges.iter().last(), Some((2 * (MOST as u64 - 1), 3998)));
    }

    #[test]
    fn the_highest_numbers_do_not_overflow() {
        let mut ranges = Ranges::default();
        ranges.insert(u64::MAX - 1, u64::MAX);
        ranges.insert(0, 1);
        assert!(ranges.remove(u64::MAX, u64::MAX));
        assert_eq!(
            ranges.iter().collect::<Vec<_>>(),
            [(0, 1), (u64::MAX - 1, u64::MAX - 1)]
        );
    }
}
