//! What is still to be told: to the other nodes, and to our own Jool.

use crate::session::{ENDED, Entry, Marks, Protocol, Session, Slot, Stamp, Timer};

use super::Ledger;
use super::record::{OWN, Place};

impl Ledger {
    /// The others are told of a session again, as soon as it is its turn.
    pub(super) fn announce_again(&mut self, slot: Slot) {
        self.announce.push(&mut self.table, slot);
    }

    /// The transfer is complete: what came with it may leave.
    pub(crate) fn release_backlog(&mut self) {
        self.backlog_released = self.backlog.len() > 0;
    }

    /// The next session to announce, now at a place in our own log, and when it was last active.
    #[inline]
    pub(crate) fn next_announcement(
        &mut self,
        now: u64,
        seq: u64,
    ) -> Option<(Slot, Session, Stamp)> {
        loop {
            let slot = self.announce.pop(&mut self.table)?;
            let entry = self.table.get(slot)?;
            let (mut session, activity) = (entry.session(now), self.activity(now, entry));
            if session.lifetime == 0 {
                if !entry.ends_early() {
                    continue;
                }
                session.lifetime = ENDED;
            }
            self.put(slot, Place { log: OWN, seq });
            if let Some(entry) = self.table.get_mut(slot) {
                entry.announced = activity;
            }
            return Some((slot, session, activity));
        }
    }

    /// Sessions that wait to be announced.
    pub(crate) fn announcements(&self) -> usize {
        self.announce.len()
    }

    /// The next session for our own Jool. None of a run expires before the one that left before it:
    /// `None` also when the next one would, and is for another run.
    #[inline]
    pub(crate) fn next_injection(&mut self, now: u64, begins: bool) -> Option<(Slot, Session)> {
        loop {
            let slot = if begins {
                self.first_injection()?
            } else if self.from_backlog {
                self.backlog.pop_sorted(&mut self.table)?
            } else {
                self.inject.pop_sorted(&mut self.table)?
            };
            let Some(entry) = self.table.get_mut(slot) else {
                continue;
            };
            entry.marks.set(Marks::INJECT, false);
            entry.marks.set(Marks::BACKLOG, false);
            let mut session = entry.session(now).clamped(&self.timeouts);
            if session.lifetime == 0 {
                if session.id.protocol == Protocol::Tcp && session.timer == Timer::Established {
                    // Jool's own has expired, too, and it would ask the client about another.
                    continue;
                }
                // It ended while it waited: Jool may have it as it was before, for hours.
                session.lifetime = ENDED;
            }
            return Some((slot, session));
        }
    }

    fn first_injection(&mut self) -> Option<Slot> {
        self.from_backlog = false;
        let slot = self.inject.pop(&mut self.table);
        if slot.is_some() || !self.backlog_released {
            return slot;
        }
        self.from_backlog = true;
        let slot = self.backlog.pop(&mut self.table);
        self.backlog_released = slot.is_some();
        slot
    }

    /// Has our own Jool told about a session once more.
    pub(crate) fn inject_again(&mut self, slot: Slot) {
        self.inject.push(&mut self.table, slot);
    }

    /// Sessions that wait for our own Jool.
    pub(crate) fn injections(&self) -> usize {
        let backlog = if self.backlog_released {
            self.backlog.len()
        } else {
            0
        };
        self.inject.len() + backlog
    }

    /// Our own Jool is gone: it will be told everything when it is back.
    pub(crate) fn forget_injections(&mut self) {
        self.inject.clear(&mut self.table);
        self.backlog.clear(&mut self.table);
    }

    /// Announces the session in a slot, if there is one that lives, or if `only` what is in that log is
    /// meant, one that has ended and of which the others may not know.
    pub(crate) fn announce(&mut self, now: u64, slot: Slot, only: Option<u16>) -> bool {
        let is_meant = |entry: &Entry| match only {
            Some(log) => entry.log == log && (entry.expires > now || entry.ends_early()),
            None => entry.expires > now,
        };
        self.table.get(slot).is_some_and(is_meant) && self.announce.push(&mut self.table, slot)
    }
}
