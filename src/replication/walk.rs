//! What is done with every session of the table, a stride at a time, so that nothing else waits for
//! long.

use crate::session::Slot;

use super::record::{ADOPTED, OWN, Place};
use super::{Engine, Phase};

/// Slots that are gone through in one go, so that nothing else waits for long.
const STRIDE: u32 = 16_384;

/// Something that is done slot by slot, a stride at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Walk {
    /// Our own Jool is told what it has not.
    Reinject,
    /// What came from our own Jool at the start, and nobody else knows, is announced.
    AnnounceAdopted,
    /// The same when there is nobody: it is in our log, and nothing is sent.
    OwnAdopted,
    /// Everything is announced.
    AnnounceAll,
    /// What another node has no longer ends.
    Compare,
    /// What is in this log is in none.
    Disown(u16),
}

impl Engine {
    /// Announces every session, whether or not it changed: for stock peers, which cannot ask.
    /// Returns how many that will be.
    pub fn advertise(&mut self) -> u64 {
        self.walks.retain(|(walk, _)| *walk != Walk::AnnounceAll);
        self.walks.push_back((Walk::AnnounceAll, 0));
        self.ledger.table.len() as u64
    }

    /// Goes on with what is done slot by slot.
    pub(super) fn step(&mut self, now: u64) {
        let Some((walk, from)) = self.walks.pop_front() else {
            return;
        };
        let end = from.saturating_add(STRIDE).min(self.ledger.table.slots());
        for slot in (from..end).map(Slot) {
            match walk {
                Walk::Reinject => self.audit.missing += u64::from(self.ledger.audit(now, slot)),
                Walk::AnnounceAdopted => {
                    self.ledger.announce(now, slot, Some(ADOPTED));
                }
                Walk::AnnounceAll => {
                    self.ledger.announce(now, slot, None);
                }
                Walk::OwnAdopted => {
                    let seq = self.ring.last() + 1;
                    if self.ledger.rehome(slot, ADOPTED, Place { log: OWN, seq }) {
                        self.ring.push(slot.0, now);
                    }
                }
                Walk::Compare => {
                    if let Some(comparison) = &mut self.comparison {
                        let has_ended = self.ledger.compare(now, slot, &comparison.reached);
                        comparison.ended += u64::from(has_ended);
                    }
                }
                Walk::Disown(log) => {
                    self.ledger.rehome(slot, log, Place::UNLOGGED);
                }
            }
        }
        if end < self.ledger.table.slots() {
            self.walks.push_front((walk, end));
            return;
        }
        match walk {
            Walk::Reinject => self.finish_audit(now),
            Walk::AnnounceAdopted | Walk::OwnAdopted => {
                if let Phase::Ending { queued, .. } = &mut self.phase {
                    *queued = true;
                }
            }
            Walk::Compare => self.finish_comparison(),
            Walk::AnnounceAll | Walk::Disown(_) => {}
        }
    }
}
