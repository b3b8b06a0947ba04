//! The clock that the nodes share, so that all of them see the same record as the later one.

use crate::session::Stamp;

use super::EPOCH;

/// Clocks that differ by more have not met: no datagram is under way for so long, in milliseconds.
const APART: i64 = 2_000;
/// How long after it was set a clock is not set again by so much, in milliseconds: it costs a look at
/// every session.
const SETTLED: u64 = 10_000;

/// What leads from the engine's own clock to the one that the nodes share. A node begins with its
/// epoch, and goes forward whenever another turns out to be ahead: so they all follow the fastest,
/// less the time that a datagram takes, and what a node says after it heard something is later than
/// that.
#[derive(Clone, Copy, Debug)]
pub(super) struct SharedClock {
    offset: u64,
    /// When it was last set to another that it had not met before, on the engine's own clock.
    set: u64,
}

/// What another node's clock is to ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The same, but for the time under way.
    Same,
    /// It had not met ours, which has been set forward by so many milliseconds.
    Ahead(u64),
    /// It has not met ours.
    Apart,
}

impl SharedClock {
    /// The clock of a node in this run.
    pub(super) fn new(epoch: u64) -> Self {
        Self {
            offset: epoch.wrapping_sub(EPOCH),
            set: 0,
        }
    }

    /// A moment on the engine's own clock.
    #[inline]
    pub(super) fn at(&self, own: u64) -> Stamp {
        Stamp(own.wrapping_add(self.offset))
    }

    /// What another node's clock said when it sent what has come now.
    #[inline]
    pub(super) fn hear(&mut self, now: u64, theirs: Stamp) -> Heard {
        let ahead = theirs.since(self.at(now));
        if ahead < -APART || ahead > APART && now < self.set + SETTLED {
            return Heard::Apart;
        }
        if ahead <= 0 {
            return Heard::Same;
        }
        let by = ahead.cast_unsigned();
        self.offset = self.offset.wrapping_add(by);
        if ahead <= APART {
            return Heard::Same;
        }
        self.set = now;
        Heard::Ahead(by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_follows_the_one_that_is_ahead_and_never_goes_back() {
        let mut clock = SharedClock::new(5_000);
        let now = EPOCH + 10;
        assert_eq!(clock.at(now), Stamp(5_010));
        assert_eq!(clock.hear(now, Stamp(4_000)), Heard::Same);
        assert_eq!(clock.at(now), Stamp(5_010));
        assert_eq!(clock.hear(now, Stamp(5_020)), Heard::Same);
        assert_eq!(clock.at(now + 1), Stamp(5_021));
        assert_eq!(clock.hear(now, Stamp(1)), Heard::Apart);
        assert_eq!(clock.at(now), Stamp(5_020));
    }

    #[test]
    fn a_clock_that_it_has_not_met_sets_it_now_and_then_and_none_is_the_last() {
        let mut clock = SharedClock::new(5_000);
        let now = EPOCH;
        assert_eq!(clock.hear(now, Stamp(9_000)), Heard::Ahead(4_000));
        assert_eq!(clock.hear(now, Stamp(20_000)), Heard::Apart);
        assert_eq!(clock.at(now), Stamp(9_000));
        let later = now + SETTLED;
        let far = Stamp(19_000 + (1 << 62));
        assert_eq!(clock.hear(later, far), Heard::Ahead(1 << 62));
        let later = later + SETTLED;
        let farther = far.plus(SETTLED + (1 << 62));
        assert_eq!(clock.hear(later, farther), Heard::Ahead(1 << 62));
        let later = later + SETTLED;
        assert_eq!(
            clock.hear(later, Stamp(1)),
            Heard::Ahead((1 << 63) - 39_000 + 1)
        );
        assert_eq!(clock.at(later), Stamp(1));
    }
}
