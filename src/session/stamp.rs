//! Moments on a clock that several nodes share.

use std::cmp::Ordering;

/// A moment in milliseconds on the clock that the nodes share (docs/protocol.md).
///
/// It wraps: of two moments the later is the one that the shorter way forward leads to. So no value is
/// the last, whatever somebody sets a clock to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp(pub u64);

impl Stamp {
    /// The milliseconds from another moment to this one; negative if this one is earlier.
    #[inline]
    pub fn since(self, other: Self) -> i64 {
        self.0.wrapping_sub(other.0).cast_signed()
    }

    /// Which of the two is the later. Not `Ord`: of three that are far apart each may be later than
    /// another.
    #[inline]
    pub fn compare(self, other: Self) -> Ordering {
        self.since(other).cmp(&0)
    }

    /// So many milliseconds later.
    #[inline]
    #[must_use]
    pub fn plus(self, milliseconds: u64) -> Self {
        Self(self.0.wrapping_add(milliseconds))
    }

    /// So many milliseconds earlier.
    #[inline]
    #[must_use]
    pub fn minus(self, milliseconds: u64) -> Self {
        Self(self.0.wrapping_sub(milliseconds))
    }

    /// The later of the two.
    #[inline]
    #[must_use]
    pub fn latest(self, other: Self) -> Self {
        if other.since(self) > 0 { other } else { self }
    }

    /// The earlier of the two.
    #[inline]
    #[must_use]
    pub fn earliest(self, other: Self) -> Self {
        if other.since(self) < 0 { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_of_two_moments_is_known_beyond_the_last_number_too() {
        let (early, late) = (Stamp(u64::MAX - 3), Stamp(u64::MAX - 3).plus(10));
        assert_eq!(late.since(early), 10);
        assert_eq!(early.compare(late), Ordering::Less);
        assert_eq!(late.compare(late), Ordering::Equal);
        assert_eq!((early.latest(late), late.latest(early)), (late, late));
        assert_eq!((early.earliest(late), late.earliest(early)), (early, early));
        assert_eq!(late.minus(10), early);
    }
}
