//! The state that is shown: what passes at once is not.

use crate::replication::state::State;

/// What is repaired within this time, in milliseconds, is not shown as missing: while datagrams are
/// lost, something is for a moment, again and again.
pub(super) const PASSING: u64 = 2_000;

/// The state that is shown: what passes at once is not.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) state: State,
    /// Another state, and since when it has been so without a pause, in milliseconds on the engine's
    /// clock.
    next: Option<(State, u64)>,
}

impl Shown {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Waiting,
            next: None,
        }
    }

    /// Takes a state. `is_heard`: another node is there, so that it may only be about to have its Jool back.
    pub(crate) fn show(&mut self, now: u64, state: State, is_heard: bool) {
        let settled = |of: State| matches!(of, State::Synced | State::Alone | State::Degraded);
        let passes = settled(state)
            && settled(self.state)
            && (state == State::Degraded
                || self.state == State::Degraded
                || state == State::Alone && is_heard);
        self.next = match self.next {
            _ if state == self.state => None,
            Some((next, since)) if next == state => Some((next, since)),
            _ => Some((state, now)),
        };
        if let Some((next, since)) = self.next
            && (!passes || now >= since + PASSING)
        {
            self.state = next;
            self.next = None;
        }
    }
}
