//! The clock that the nodes share, so that all of them see the same record as the later one.
//!
//! There are three: the engine's own, in milliseconds, which stands still while the machine is
//! suspended; the table's, in which the stamps of its entries are; and the shared one, which frames
//! tell. Each leads to the next by an addition.

use crate::session::Stamp;

use super::EPOCH;

/// Clocks that differ by more have not met, in milliseconds: hosts that keep time differ by less, and
/// hardly any datagram is under way for longer.
const APART: u64 = 100;
/// A clock that has met ours and differs by more did not merely stand still, in milliseconds.
const LONGEST_PAUSE: u64 = 3_600_000;
/// Steps forward within so many milliseconds are one step.
const TOGETHER: u64 = 1_000;
/// A step that is remembered when others follow, in milliseconds.
const STEP: u64 = 20;
/// How many steps are remembered.
const MOST_STEPS: usize = 4;

/// What a node's clock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// On the shared clock.
    pub(super) at: Stamp,
    /// How often it was set to a clock that it had not met.
    pub(super) times_set: u16,
}

/// That two clocks have met: how often either had been set by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Met {
    ours: u16,
    theirs: u16,
}

/// What leads from the engine's own clock to the one that the nodes share. A node begins with its
/// epoch, and goes forward whenever another turns out to be ahead: so they all follow the fastest,
/// less the time that a datagram takes, and what a node says after it heard something is later than
/// that.
#[derive(Clone, Debug)]
pub(super) struct SharedClock {
    /// From the engine's own to the table's.
    offset: u64,
    /// What the offset was until which moments on the engine's own clock, the latest last: what was before
    /// a step forward has not become later by it.
    steps: Vec<(u64, u64)>,
    /// From the table's to the shared one. Only this changes when a clock is met: all that the table
    /// has moves with it.
    shift: u64,
    /// How often that changed.
    times_set: u16,
}

impl SharedClock {
    /// The clock of a node in this run.
    pub(super) fn new(epoch: u64) -> Self {
        Self {
            offset: epoch.wrapping_sub(EPOCH),
            steps: Vec::new(),
            shift: 0,
            times_set: 0,
        }
    }

    /// A moment on the engine's own clock, on the table's.
    #[inline]
    pub(super) fn at(&self, own: u64) -> Stamp {
        let mut steps = self.steps.iter();
        let step = steps.find(|(until, _)| own < *until);
        Stamp(own.wrapping_add(step.map_or(self.offset, |(_, offset)| *offset)))
    }

    /// What the shared clock says at this moment on the engine's own.
    pub(super) fn reading(&self, now: u64) -> Reading {
        Reading {
            at: self.at(now).plus(self.shift),
            times_set: self.times_set,
        }
    }

    /// Goes forward, if need be, so that it is not before this moment.
    #[inline]
    pub(super) fn reach(&mut self, now: u64, moment: Stamp) {
        let by = moment.since(self.at(now));
        if by <= 0 {
            return;
        }
        let last = self.steps.last().copied();
        if last.is_none_or(|(until, _)| now >= until + TOGETHER) {
            if last.is_some_and(|(_, offset)| self.offset.wrapping_sub(offset) <= STEP) {
                self.steps.pop();
            } else if self.steps.len() == MOST_STEPS {
                self.steps.remove(0);
            }
            self.steps.push((now, self.offset));
        }
        self.offset = self.offset.wrapping_add(by.cast_unsigned());
    }

    /// What another node's clock said when it sent what has come now, and may have waited here for so many
    /// milliseconds; and whether it had met ours, which is brought up to date. Returns what that is on the
    /// table's clock.
    #[inline]
    pub(super) fn hear(
        &mut self,
        now: u64,
        theirs: Reading,
        waited: u32,
        met: &mut Option<Met>,
    ) -> Stamp {
        let ours = self.at(now);
        let sent = theirs.at.minus(self.shift);
        let ahead = sent.since(ours);
        let pair = Met {
            ours: self.times_set,
            theirs: theirs.times_set,
        };
        if *met == Some(pair) && ahead.unsigned_abs() <= LONGEST_PAUSE {
            // The same clock, however late this comes, and however long our machine stood still.
            self.reach(now, sent);
            return sent;
        }
        let waited = u64::from(waited);
        if waited > APART {
            // By what is as old as that no clock is met. But it may be the same.
            let may_be_ours = ahead <= 0 && ahead.unsigned_abs() <= waited + APART;
            return if may_be_ours {
                sent
            } else {
                ours.minus(waited)
            };
        }
        if ahead.unsigned_abs() <= APART {
            *met = Some(pair);
            self.reach(now, sent);
            return sent;
        }
        *met = None;
        if ahead > 0 {
            self.shift = self.shift.wrapping_add(ahead.cast_unsigned());
            self.times_set = self.times_set.wrapping_add(1);
            *met = Some(Met {
                ours: self.times_set,
                ..pair
            });
        }
        ours
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = EPOCH;

    fn reading(at: u64, times_set: u16) -> Reading {
        Reading {
            at: Stamp(at),
            times_set,
        }
    }

    #[test]
    fn a_clock_follows_the_one_that_is_ahead_and_never_goes_back() {
        let mut clock = SharedClock::new(5_000);
        let mut met = None;
        let now = NOW + 10;
        assert_eq!(clock.at(now), Stamp(5_010));
        assert_eq!(
            clock.hear(now, reading(4_990, 0), 0, &mut met),
            Stamp(4_990)
        );
        assert_eq!(clock.at(now), Stamp(5_010));
        assert_eq!(
            clock.hear(now, reading(5_020, 0), 0, &mut met),
            Stamp(5_020)
        );
        assert_eq!(clock.at(now + 1), Stamp(5_021));
        assert_eq!(clock.reading(now), reading(5_020, 0));
    }

    #[test]
    fn a_clock_that_was_not_met_moves_all_that_is_known_with_it() {
        let mut clock = SharedClock::new(5_000);
        let mut met = None;
        let known = clock.at(NOW);
        // Behind: it will follow ours. Until then what it says is said when it comes.
        assert_eq!(clock.hear(NOW, reading(1, 0), 0, &mut met), known);
        assert_eq!((met, clock.reading(NOW)), (None, reading(5_000, 0)));
        // Ahead.
        assert_eq!(clock.hear(NOW, reading(9_000, 3), 0, &mut met), known);
        assert!(met.is_some());
        assert_eq!(clock.at(NOW), known);
        assert_eq!(clock.reading(NOW), reading(9_000, 1));
        // What was said before it was set is of a clock that has not been met.
        let far = reading(5_000, 2);
        assert_eq!(clock.hear(NOW, far, 0, &mut met), known);
        assert_eq!(met, None);
    }

    #[test]
    fn a_clock_that_was_met_is_late_or_ours_stood_still() {
        let mut clock = SharedClock::new(50_000);
        let mut met = None;
        clock.hear(NOW, reading(50_000, 0), 0, &mut met);
        let late = reading(1, 0);
        assert_eq!(clock.hear(NOW, late, 0, &mut met), Stamp(1));
        assert_eq!(clock.at(NOW), Stamp(50_000));
        let ahead = reading(90_000, 0);
        assert_eq!(clock.hear(NOW, ahead, 0, &mut met), Stamp(90_000));
        assert_eq!(clock.reading(NOW), reading(90_000, 0));
        // What was before has not become later.
        assert_eq!(clock.at(NOW - 1), Stamp(49_999));
        assert_eq!(clock.at(NOW + 1), Stamp(90_001));
    }

    #[test]
    fn no_clock_is_met_by_what_has_waited() {
        let mut clock = SharedClock::new(50_000);
        let mut met = None;
        // What may be of the same clock is taken to be.
        for (theirs, sent) in [
            (50_000, 50_000),
            (48_500, 48_500),
            (40_000, 48_000),
            (90_000, 48_000),
        ] {
            let sent_then = clock.hear(NOW, reading(theirs, 0), 2_000, &mut met);
            assert_eq!((sent_then, met), (Stamp(sent), None));
        }
        assert_eq!(clock.reading(NOW), reading(50_000, 0));
        // Of a clock that was met it tells as much as ever.
        clock.hear(NOW, reading(50_000, 0), 0, &mut met);
        let theirs = reading(40_000, 0);
        assert_eq!(clock.hear(NOW, theirs, 2_000, &mut met), Stamp(40_000));
    }

    #[test]
    fn no_clock_is_the_last() {
        let mut clock = SharedClock::new(5_000);
        let known = clock.at(NOW);
        let mut told = 5_000;
        for times in 1..10 {
            let mut met = None;
            told = Stamp(told).plus(1 << 62).0;
            assert_eq!(clock.hear(NOW, reading(told, 0), 0, &mut met), known);
            assert_eq!(clock.reading(NOW), reading(told, times));
        }
    }
}
