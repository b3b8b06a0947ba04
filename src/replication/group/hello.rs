//! When hellos leave.

/// How often a node says hello, in milliseconds.
pub(crate) const INTERVAL: u64 = 250;
/// A hello out of turn comes no sooner than this after the last one, in milliseconds.
const SHORTEST: u64 = 20;

/// When hellos leave.
#[derive(Debug)]
pub(crate) struct Timing {
    /// When the next one is due.
    pub(crate) next: u64,
    last: u64,
    due: bool,
}

impl Timing {
    pub(crate) fn new(now: u64) -> Self {
        Self {
            next: now,
            last: 0,
            due: false,
        }
    }

    /// One is to leave now, or as soon as it may.
    pub(crate) fn at_once(&mut self, now: u64) {
        if now >= self.last + SHORTEST {
            self.due = true;
        } else {
            self.next = self.next.min(self.last + SHORTEST);
        }
    }

    /// One is to leave now, whenever the last one did.
    pub(crate) fn now(&mut self) {
        self.due = true;
    }

    /// When the time for the next one has come, or will have in so many milliseconds, it is to leave as
    /// soon as it can. Says whether one is to leave.
    pub(crate) fn keep_time(&mut self, now: u64, early: u64) -> bool {
        let early = if now >= self.last + SHORTEST {
            early
        } else {
            0
        };
        if now + early >= self.next {
            self.due = true;
            self.next = now + INTERVAL;
        }
        self.due
    }

    /// For how long one has been due, in milliseconds: if we did not stand still, hardly at all. What
    /// waited meanwhile, and does not say since when, counts as being that old: what others say they
    /// know.
    pub(crate) fn late(&self, now: u64) -> u32 {
        u32::try_from(now.saturating_sub(self.next)).unwrap_or(u32::MAX)
    }

    /// Whether one leaves now.
    pub(crate) fn take(&mut self, now: u64) -> bool {
        if !std::mem::take(&mut self.due) {
            return false;
        }
        self.last = now;
        self.next = now + INTERVAL;
        true
    }
}
