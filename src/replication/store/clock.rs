//! The clock that the nodes share, so that all of them see the same record as the later one.
//!
//! It is a hybrid logical clock. A node begins with its own time, and goes forward whenever it hears of a
//! later one: what it says after it heard something is later than that, whatever its own clock says. Who
//! joins takes the time of the first node of the group that it hears, be it later or earlier: what it said
//! before, nobody has heard.

use crate::session::Stamp;

/// Steps forward within so many milliseconds are one step.
const TOGETHER: u64 = 1_000;
/// A step that is remembered when others follow, in milliseconds.
const STEP: u64 = 20;
/// How many steps are remembered.
const MOST_STEPS: usize = 4;

/// What leads from the engine's own clock, which stands still while the machine is suspended, to the one
/// that the nodes share.
#[derive(Clone, Debug)]
pub(crate) struct SharedClock {
    offset: u64,
    /// What the offset was until which moments on the engine's own clock, the latest last: what was before
    /// a step forward has not become later by it.
    steps: Vec<(u64, u64)>,
    /// It is the clock of a group, and not only ours.
    is_adopted: bool,
}

impl SharedClock {
    /// A clock that says this at that moment on the engine's own.
    pub(crate) fn new(now: u64, says: u64) -> Self {
        Self {
            offset: says.wrapping_sub(now),
            steps: Vec::new(),
            is_adopted: false,
        }
    }

    /// What it says, or said, at a moment on the engine's own clock.
    #[inline]
    pub(crate) fn at(&self, own: u64) -> Stamp {
        let mut steps = self.steps.iter();
        let step = steps.find(|(until, _)| own < *until);
        Stamp(own.wrapping_add(step.map_or(self.offset, |(_, offset)| *offset)))
    }

    /// The moment on the engine's own clock at which it said that.
    pub(crate) fn when(&self, said: Stamp) -> u64 {
        let at = |offset: u64| said.0.wrapping_sub(offset);
        let mut steps = self.steps.iter();
        let step = steps.find(|(until, offset)| at(*offset) < *until);
        at(step.map_or(self.offset, |(_, offset)| *offset))
    }

    /// Goes forward, if need be, so that it is not before this moment.
    #[inline]
    pub(crate) fn reach(&mut self, now: u64, moment: Stamp) {
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

    /// Whether it is that of a group.
    pub(crate) fn is_adopted(&self) -> bool {
        self.is_adopted
    }

    /// Nobody else has had one: it is the group's from now on.
    pub(crate) fn is_ours(&mut self) {
        self.is_adopted = true;
    }

    /// Becomes the clock of a group, which says this now. Returns by how much all that was said on it moves.
    pub(crate) fn adopt(&mut self, now: u64, says: Stamp) -> u64 {
        let by = says.since(self.at(now)).cast_unsigned();
        self.offset = self.offset.wrapping_add(by);
        for (_, offset) in &mut self.steps {
            *offset = offset.wrapping_add(by);
        }
        self.is_adopted = true;
        by
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1 << 40;

    #[test]
    fn it_follows_what_is_ahead_and_never_goes_back() {
        let mut clock = SharedClock::new(NOW, 5_000);
        let now = NOW + 10;
        assert_eq!(clock.at(now), Stamp(5_010));
        clock.reach(now, Stamp(4_990));
        assert_eq!(clock.at(now), Stamp(5_010));
        clock.reach(now, Stamp(90_000));
        assert_eq!(clock.at(now), Stamp(90_000));
        assert_eq!(clock.at(now + 1), Stamp(90_001));
        // What was before has not become later.
        assert_eq!(clock.at(now - 1), Stamp(5_009));
        for moment in [now - 1, now, now + 1] {
            assert_eq!(clock.when(clock.at(moment)), moment);
        }
    }

    #[test]
    fn who_joins_takes_the_time_of_the_others_and_all_it_said_moves_with_it() {
        for says in [1, 1 << 62, u64::MAX - 5] {
            let mut clock = SharedClock::new(NOW, 5_000);
            clock.reach(NOW, Stamp(6_000));
            let before = clock.at(NOW - 7);
            let by = clock.adopt(NOW, Stamp(says));
            assert_eq!(clock.at(NOW), Stamp(says));
            assert_eq!(clock.at(NOW - 7), before.plus(by));
            assert!(clock.is_adopted());
        }
    }
}
