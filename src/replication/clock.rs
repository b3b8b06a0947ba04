//! The clock that the nodes share, so that all of them see the same record as the later one.

use crate::session::Stamp;

use super::EPOCH;

/// What leads from the engine's own clock to the one that the nodes share. A node begins with its
/// epoch, and goes forward whenever another turns out to be ahead: so they all follow the fastest,
/// less the time that a datagram takes, and what a node says after it heard something is later than
/// that.
#[derive(Clone, Copy, Debug)]
pub(super) struct SharedClock {
    offset: u64,
}

impl SharedClock {
    /// The clock of a node in this run.
    pub(super) fn new(epoch: u64) -> Self {
        Self {
            offset: epoch.wrapping_sub(EPOCH),
        }
    }

    /// A moment on the engine's own clock.
    #[inline]
    pub(super) fn at(self, own: u64) -> Stamp {
        Stamp(own.wrapping_add(self.offset))
    }

    /// Another node's clock is as far as this, or was when it sent what has come now.
    #[inline]
    pub(super) fn hear(&mut self, now: u64, theirs: Stamp) {
        let ahead = theirs.since(self.at(now));
        if ahead > 0 {
            self.offset = self.offset.wrapping_add(ahead.cast_unsigned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_follows_the_one_that_is_ahead_and_never_goes_back() {
        let mut clock = SharedClock::new(5_000);
        assert_eq!(clock.at(EPOCH + 10), Stamp(5_010));
        clock.hear(EPOCH + 10, Stamp(4_000));
        assert_eq!(clock.at(EPOCH + 10), Stamp(5_010));
        clock.hear(EPOCH + 10, Stamp(9_000));
        assert_eq!(clock.at(EPOCH + 15), Stamp(9_005));
        // Somebody whose clock says anything is followed, and nothing is the end.
        clock.hear(EPOCH + 15, Stamp(9_005 + (1 << 62)));
        clock.hear(EPOCH + 15, Stamp(9_005 + (1 << 63)));
        clock.hear(EPOCH + 15, Stamp(9_004));
        assert_eq!(clock.at(EPOCH + 16), Stamp(9_005));
    }
}
